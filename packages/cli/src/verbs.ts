/** What each command of cnitool does, once its arguments are there. */
import { loadNetworkList, NetworkNotFoundError, NoConfigsFoundError } from '@cni-ts/libcni/discovery';
import type { Environment } from '@cni-ts/libcni/environment';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import type { Operations } from '@cni-ts/libcni/operations';
import { pluginVersion } from '@cni-ts/skeleton/plugin';
import { specVersions } from '@cni-ts/skeleton/released-versions';
import { printResult } from '@cni-ts/skeleton/result-version';
import type { Option } from './command-line.ts';
import { attachmentOf, configDir } from './settings.ts';

export interface Verb {
  readonly about: string;
  /** Names of the arguments; all of them must be given, and what comes after them is ignored. */
  readonly needs: readonly string[];
  /** Any number of arguments after those. */
  readonly takes?: string;
  /** Besides those that every command has. */
  readonly options?: readonly Option[];
  /** What goes to stdout. */
  run(call: VerbCall): Promise<string>;
}

export interface VerbCall {
  readonly options: { readonly ifname?: string; readonly keep?: readonly string[] };
  readonly args: readonly string[];
  readonly env: Environment;
  readonly runtime: Operations;
}

const onNamespace = ['network', 'netns'];

export const verbs: Readonly<Record<string, Verb>> = {
  add: {
    about: 'Add a network interface to a network namespace and print the result',
    needs: onNamespace,
    async run(call) {
      const { list, conf } = attachment(call);
      const result = await call.runtime.addNetworkList(list, conf);
      return result === undefined ? '' : printResult(result);
    },
  },
  check: {
    about: "Check that a network namespace's interface is as ADD left it",
    needs: onNamespace,
    async run(call) {
      const { list, conf } = attachment(call);
      await call.runtime.checkNetworkList(list, conf);
      return '';
    },
  },
  del: {
    about: 'Remove the network interface from a network namespace',
    needs: onNamespace,
    async run(call) {
      const { list, conf } = attachment(call);
      await call.runtime.delNetworkList(list, conf);
      return '';
    },
  },
  gc: {
    about: 'Remove EVERY attachment of a network that the cache remembers, but those to keep',
    needs: onNamespace,
    options: [
      {
        name: 'keep',
        value: 'id/ifname',
        many: true,
        about: 'attachments that stay, as ‹container ID›/‹interface›',
      },
    ],
    async run(call) {
      const { list } = attachment(call);
      // Told in so many words also when nothing is to stay: a plugin does not collect without being told what to keep.
      await call.runtime.gcNetworkList(list, { valid: (call.options.keep ?? []).map(readKept) });
      return '';
    },
  },
  status: {
    about: 'Ask whether a network could serve ADD now',
    needs: onNamespace,
    async run(call) {
      const { list } = attachment(call);
      await call.runtime.statusNetworkList(list);
      return '';
    },
  },
  validate: {
    about: "Check that a network's plugins are there and speak its version",
    needs: ['network'],
    async run({ args: [network = ''], env, runtime }) {
      const list = loadNetworkList(configDir(env), network);
      const capabilities = await runtime.validateNetworkList(list);
      const types = list.plugins.map(({ type }) => type).join(', ');
      const version = list.cniVersion || '0.1.0';
      return `network ${list.name}: version ${version}, plugins ${types}, capabilities ${capabilities.join(', ') || 'none'}\n`;
    },
  },
  version: {
    about: 'Print the spec versions of the plugins of a network, or of plugins by name, and those all share',
    needs: [],
    takes: 'networks-or-plugins',
    async run({ args, env, runtime }) {
      if (args.length === 0) {
        return `cnitool v${pluginVersion}\nCNI protocol versions supported: ${specVersions.join(', ')}\n`;
      }
      const types = [...new Set(args.flatMap((name) => pluginTypes(name, env)))];
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
};

/** Undefined for a name that is no command's. */
export function verbNamed(name: string | undefined): Verb | undefined {
  return name !== undefined && Object.hasOwn(verbs, name) ? verbs[name] : undefined;
}

function attachment({ args: [network = '', netns = ''], options, env }: VerbCall) {
  const list = loadNetworkList(configDir(env), network);
  return { list, conf: attachmentOf(netns, options.ifname, env) };
}

function readKept(text: string): { containerId: string; ifname: string } {
  const [containerId, ifname, ...more] = text.split('/');
  if (!containerId || !ifname || more.length > 0) {
    throw new Error(`--keep ${text}: write it as ‹container ID›/‹interface›, such as c1/eth0`);
  }
  return { containerId, ifname };
}

/** Those of the network of this name, delegates too; a name that is no network's is a plugin's. */
function pluginTypes(name: string, env: Environment): string[] {
  const list = networkIfAny(name, env);
  if (list === undefined) return [name];
  return list.plugins.flatMap(({ type, json }) => {
    const { ipam } = json;
    const delegate = typeof ipam === 'object' && ipam !== null && 'type' in ipam ? ipam.type : undefined;
    return typeof delegate === 'string' && delegate !== '' ? [type, delegate] : [type];
  });
}

function networkIfAny(name: string, env: Environment): NetworkList | undefined {
  try {
    return loadNetworkList(configDir(env), name);
  } catch (error) {
    if (error instanceof NetworkNotFoundError || error instanceof NoConfigsFoundError) return undefined;
    throw error;
  }
}
