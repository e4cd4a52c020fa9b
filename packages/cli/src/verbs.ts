/** What each command of cnitool does, once its arguments are there. */
import { namespaceLives } from '@cni-ts/libc/netns';
import type { RuntimeConf } from '@cni-ts/libcni/attachment';
import { NetworkNotFoundError, NoConfigsFoundError } from '@cni-ts/libcni/discovery';
import { staleAttachments } from '@cni-ts/libcni/garbage-collection';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import { hasGcAndStatus } from '@cni-ts/libcni/network-version';
import { type Attachment, pluginVersion } from '@cni-ts/skeleton/plugin';
import { specVersions } from '@cni-ts/spec/released-versions';
import { printResult } from '@cni-ts/spec/result-version';
import { collecting } from './collect-command.ts';
import type { Option } from './command-line.ts';
import { completing, completion } from './completion-command.ts';
import { doctor } from './doctor-command.ts';
import { explain } from './explain-command.ts';
import { collectStale } from './gc/stale.ts';
import { inspect } from './inspect-command.ts';
import { installCommand, uninstallCommand } from './install-command.ts';
import { ipamCommand } from './ipam-command.ts';
import { list } from './list-command.ts';
import { networkNamed } from './network-named.ts';
import { planCommand } from './plan-command.ts';
import { repairCommand } from './repair-command.ts';
import { attachmentOf } from './settings.ts';
import { timeline } from './timeline-command.ts';
import { trace } from './trace-command.ts';
import { validateCommand } from './validate-command.ts';
import { UsageError, type Verb, type VerbCall } from './verb.ts';

const onNamespace = ['network', 'netns'];

const timingOption: Option = { name: 'timing', about: 'tell on stderr where the time of the chain went' };

export const verbs: Readonly<Record<string, Verb>> = {
  add: {
    about: 'Add a network interface to a network namespace and print the result',
    examples: [
      {
        call: 'cnitool add web /run/netns/test',
        about: 'attach a namespace, made by "ip netns add test", as eth0',
      },
      {
        call: 'CAP_ARGS=\'{"portMappings":[{"hostPort":8080,"containerPort":80}]}\' cnitool add web /run/netns/test',
        about: 'publish a port too',
      },
      {
        call: 'cnitool add -i net1 web /run/netns/test',
        about: 'as a second interface',
      },
    ],
    needs: onNamespace,
    options: [timingOption],
    holdsSignals: true,
    async run(call) {
      const { list, conf } = attachment(call, true);
      const result = await call.runtime.addNetworkList(list, conf, { takeBack: true });
      return result === undefined ? '' : `${printResult(result)}\n`;
    },
  },
  check: {
    about: "Check that a network namespace's interface is as ADD left it",
    examples: [
      {
        call: 'cnitool check web /run/netns/test',
        about: 'say what is not as ADD left it',
      },
    ],
    needs: onNamespace,
    options: [timingOption],
    async run(call) {
      const { list, conf } = attachment(call);
      await call.runtime.checkNetworkList(list, conf);
      return '';
    },
  },
  del: {
    about: 'Remove the network interface from a network namespace',
    examples: [
      {
        call: 'cnitool del web /run/netns/test',
        about: 'take the attachment back; again is no error',
      },
    ],
    needs: onNamespace,
    options: [timingOption],
    holdsSignals: true,
    async run(call) {
      const { list, conf } = attachment(call);
      await call.runtime.delNetworkList(list, conf);
      return '';
    },
  },
  gc: {
    about: 'Remove the attachments of a network whose namespace is gone',
    examples: [
      {
        call: 'cnitool gc web --dry-run',
        about: 'tell which attachments have lost their namespace',
      },
      {
        call: 'cnitool gc web',
        about: 'remove them, and what else nobody uses',
      },
      {
        call: 'cnitool gc web --keep c1/eth0 c2/eth0',
        about: 'all but these two',
      },
    ],
    needs: onNamespace,
    least: 1,
    freeWith: ['stale', 'runtime'],
    holdsSignals: true,
    options: [
      {
        name: 'keep',
        value: 'id/ifname',
        many: true,
        about:
          'the attachments that stay, as ‹container ID›/‹interface›, instead of those whose namespace lives',
      },
      { name: 'all', about: 'no attachment stays, whether its namespace lives or not, but those of --keep' },
      { name: 'dry-run', about: 'tell what would be removed, and remove nothing' },
      {
        name: 'stale',
        about:
          'tell which attachments and reservations nobody lives for, of all networks or of one; --yes removes them',
      },
      {
        name: 'runtime',
        value: 'name',
        about:
          'the same, by the list of containerd or crio itself (crictl): a pod that is not in it has ended though its namespace lives',
      },
      { name: 'yes', about: 'with --stale or --runtime: remove what they tell' },
      { name: 'json', about: 'with --stale or --runtime: as JSON (dist/schemas/cnitool-gc.json)' },
    ],
    run: collectGarbage,
  },
  status: {
    about: 'Ask whether a network could serve ADD now',
    examples: [
      {
        call: 'cnitool status web',
        about: 'exit status 0 where ADD could be served',
      },
    ],
    needs: onNamespace,
    least: 1,
    async run(call) {
      await call.runtime.statusNetworkList(networkOf(call));
      return '';
    },
  },
  ipam: ipamCommand,
  validate: validateCommand,
  plan: planCommand,
  repair: repairCommand,
  list,
  timeline,
  trace,
  explain,
  doctor,
  inspect,
  version: {
    about: 'Print the spec versions of the plugins of a network, or of plugins by name, and those all share',
    examples: [
      {
        call: 'cnitool version',
        about: 'the version of the tool',
      },
      {
        call: 'cnitool version web',
        about: "versions of the network's plugins, and those all share",
      },
      {
        call: 'cnitool version bridge portmap',
        about: 'the same of plugins by their names',
      },
    ],
    needs: [],
    takes: 'networks-or-plugins',
    async run(call) {
      const { args, runtime } = call;
      if (args.length === 0) return versionText();
      const types = [...new Set(args.flatMap((name) => pluginTypes(name, call)))];
      let shared = specVersions;
      let text = '';
      for (const type of types) {
        const versions = await runtime.getVersionInfo(type);
        shared = shared.filter((version) => versions.includes(version));
        text += `${type}: ${versions.join(', ')}\n`;
      }
      return types.length < 2 ? text : `${text}shared by all: ${shared.join(', ') || 'none'}\n`;
    },
  },
  install: installCommand,
  uninstall: uninstallCommand,
  collect: collecting(() => verbs),
  completion,
  __complete: completing(() => verbs),
};

export function versionText(): string {
  return `cnitool v${pluginVersion}\nCNI protocol versions supported: ${specVersions.join(', ')}\n`;
}

/** Undefined for a name that is no command's. */
export function verbNamed(name: string | undefined): Verb | undefined {
  return name !== undefined && Object.hasOwn(verbs, name) ? verbs[name] : undefined;
}

function networkOf(call: VerbCall): NetworkList {
  return networkNamed(call.args[0] ?? '', call);
}

function attachment(call: VerbCall, isNew = false): { list: NetworkList; conf: RuntimeConf } {
  const list = networkOf(call);
  const [, netns = ''] = call.args;
  const ifname = call.options('ifname')?.at(-1);
  return { list, conf: attachmentOf(list.name, netns, ifname, call.env, call.runtime, isNew) };
}

/**
 * The cache is all that is known of who lives: an attachment whose namespace is there stays, unless told otherwise. What
 * cannot be read stays too, for its container may live, and plugins would give its addresses to others.
 */
async function collectGarbage(call: VerbCall): Promise<string> {
  const { runtime, say, note, options } = call;
  if (options('stale') !== undefined || options('runtime') !== undefined) return collectStale(call);
  for (const only of ['yes', 'json']) {
    if (options(only) !== undefined) throw new UsageError(`--${only} goes with --stale or --runtime`);
  }
  const list = networkOf(call);
  if (list.disableGC) {
    say(`nothing was done: network ${list.name} says disableGC`);
    return '';
  }
  const { attachments, unreadable } = runtime.remembered(list.name);
  const living = new Set(attachments.filter(({ netns = '' }) => netns === '' || namespaceLives(netns)));
  const keep = options('keep')?.map(readKept);
  const everything = options('all') !== undefined;
  const valid = keep ?? (everything ? [] : [...living, ...unreadable.flatMap(({ mayBe }) => mayBe)]);
  const also: Attachment[] = [];
  for (const { path, why, mayBe } of unreadable) {
    const [only] = mayBe;
    const readings = mayBe.map(nameOf).join(' or ');
    if (everything && only && mayBe.length === 1) also.push(only);
    else if (keep || everything) note(`${path}: ${why}; it stays, for it may be ${readings}`);
    else note(`${path}: ${why}; ${readings} was kept, and --all removes it`);
  }
  const why = (one: RuntimeConf) => {
    if (!one.netns) return 'its entry in the cache is damaged';
    return namespaceLives(one.netns)
      ? `its namespace ${one.netns} lives`
      : `its namespace ${one.netns} is gone`;
  };
  const told = `plugins were not asked to collect: network ${list.name} is of version ${list.cniVersion || '0.1.0'}, and GC came with 1.1.0`;
  if (options('dry-run') !== undefined) {
    const stale = [...staleAttachments(attachments, list.name, { valid }), ...also];
    for (const one of stale) say(`would remove ${nameOf(one)}: ${why(one)}`);
    say(
      hasGcAndStatus(list)
        ? `plugins would be told that ${valid.length === 0 ? 'nothing' : valid.map(nameOf).join(', ')} is in use`
        : told.replace('were not', 'would not be'),
    );
    return '';
  }
  // Told in so many words also when nothing is to stay: a plugin does not collect without being told what to keep.
  const bare = valid.map(({ containerId, ifname }) => ({ containerId, ifname }));
  await runtime.gcNetworkList(list, {
    valid: bare,
    also,
    onRemoved: (one) => say(`removed ${nameOf(one)}: ${why(one)}`),
  });
  if (!hasGcAndStatus(list)) say(told);
  return '';
}

function nameOf({ containerId, ifname }: Attachment): string {
  return `${containerId}/${ifname}`;
}

function readKept(text: string): { containerId: string; ifname: string } {
  const [containerId, ifname, ...more] = text.split('/');
  if (!containerId || !ifname || more.length > 0) {
    throw new UsageError(`--keep ${text}: write it as ‹container ID›/‹interface›, such as c1/eth0`);
  }
  return { containerId, ifname };
}

/** Those of the network of this name, delegates too; a name that is no network's is a plugin's. */
function pluginTypes(name: string, call: VerbCall): string[] {
  const list = networkIfAny(name, call);
  if (list === undefined) return [name];
  return list.plugins.flatMap(({ type, json }) => {
    const { ipam } = json;
    const delegate = typeof ipam === 'object' && ipam !== null && 'type' in ipam ? ipam.type : undefined;
    return typeof delegate === 'string' && delegate !== '' ? [type, delegate] : [type];
  });
}

function networkIfAny(name: string, call: VerbCall): NetworkList | undefined {
  try {
    return networkNamed(name, call);
  } catch (error) {
    if (error instanceof NetworkNotFoundError || error instanceof NoConfigsFoundError) return undefined;
    throw error;
  }
}
