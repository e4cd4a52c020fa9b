/** A small plugin that keeps every promise, and the same with one fault each that plugins in the field have: what the
 *  conformance suite is held against. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernelWrite } from '@cni-ts/libc/fault';
import { Netns } from '@cni-ts/libc/netns';
import type { DryRun, Plugin, RawRequest, Verb } from '@cni-ts/skeleton/plugin';
import { specVersions } from '@cni-ts/spec/released-versions';
import type { Result } from '@cni-ts/spec/result';
import { describe, expect, test } from 'vitest';
import type { Case } from '../src/case.ts';
import { checks } from '../src/conformance.ts';
import { sh as run } from '../src/shell.ts';
import { complaint } from './complaint.ts';

/** Each fault, the promise it breaks, and what must be said of it. */
const faults = {
  'its failed ADD leaves a link': ['an ADD that fails', /"name": "t-c1"/],
  'its failed ADD leaves a chain without rules': ['an ADD that fails', /\+ *"name": "c1"/],
  'its DEL leaves an nftables rule': ['DEL as usual', /"comment": "c1"/],
  'its DEL leaves a legacy iptables rule': ['DEL as usual', /nat: -A POSTROUTING .*--comment c1/],
  'its DEL leaves a file': ['DEL as usual', /"toy\/c1": "c1 eth0"/],
  'its DEL leaves an address in the container': ['DEL as usual', /"address": "10\.9\.0\.2\/32"/],
  'its DEL leaves a setting on the host': ['DEL as usual', /\+ .*"net\/ipv4\/ip_forward": "1"/],
  'its DEL leaves a setting in the container': [
    'DEL without prevResult',
    /\+ .*"net\/ipv4\/conf\/lo\/arp_notify": "1"/,
  ],
  'its DEL needs prevResult': ['DEL without prevResult', /prevResult, please/],
  'its DEL stops where the namespace is gone': ['DEL after the namespace', /"toy\/c1": "c1 eth0"/],
  'its DEL wants CNI_NETNS': ['DEL with an empty CNI_NETNS', /CNI_NETNS, please/],
  'its DEL wants the interface': ['DEL after the interface', /the interface, please/],
  'its DEL wants a namespace behind CNI_NETNS': ['DEL with a CNI_NETNS that has', /toy DEL failed/],
  'its DEL wants its options': ['DEL with a configuration that has lost', /the color, please/],
  'its DEL takes a link by its name alone': ['DEL of nothing leaves', /-.*"address": "10\.99\.0\.2\/24"/],
  'its DEL takes the link of the container that has the namespace now': [
    'DEL that is told',
    /-.*"alias": "kept"/,
  ],
  'its repeated ADD takes back the first': ['an ADD repeated', /-.*"toy\/c1": "c1 eth0"/],
  'its repeated ADD leaves a link': ['an ADD repeated', /"name": "again"/],
  'its GC spares what is lost while the namespace lives': ['GC removes such', /"toy\/lost": "lost eth0"/],
  'its second DEL fails': ['DEL as usual', /never heard of it/],
  'its DEL without ADD fails': ['DEL without ADD', /never heard of it/],
  'its DEL forgets before it removes': ['a DEL that fails', /failed at write 1, ip link del t-c1/],
  'its CHECK is blind': ['CHECK finds: no address', /CHECK passed/],
  'its CHECK finds too much': ['CHECK finds nothing wrong', /the moon is missing/],
  'its CHECK repairs': ['CHECK finds nothing wrong', /CHECK changed something/],
  'its GC removes what is valid': ['GC with the attachment in the list', /"toy\/c1": "c1 eth0"/],
  'its GC does nothing': ['GC removes from the host', /"toy\/lost": "lost eth0"/],
  'its GC takes the valid with the lost': ['GC removes from the host', /"toy\/kept": "kept eth0"/],
  'its result is invalid in 0.4.0': ['ADD answers in version 0.4.0', /invalid CIDR address/],
  'its result tells another MAC': ['ADD answers in version 1.1.0', /MAC of eth0/],
  'its result tells an address that is not there': ['ADD answers in version 0.3.1', /addresses of eth0/],
  'its STATUS refuses a network that works': ['STATUS', /not today/],
  'its dry run makes something': ['a dry run', /the dry run changed something/],
  'its dry run keeps an address to itself': [
    'a dry run',
    /expected '\+ link t-c1.*' to contain '10\.9\.0\.1\/24'/s,
  ],
  'its REPAIR does not look': ['REPAIR right after ADD', /\+ +"10\.9\.0\.1\/24"/],
  'its REPAIR is blind': ['REPAIR heals', /to not deeply equal \[\]/],
  'its REPAIR does nothing': ['REPAIR heals', /10\.9\.0\.1\/24 is missing/],
  'it does not know a version': ['STATUS', /0\.1\.0/],
} as const;

type Fault = keyof typeof faults;

/** A bridge on the host, one in the container with an address, and a note about the attachment in a file. */
export function toy(fault?: Fault): Plugin {
  return {
    type: 'toy',
    about: '',
    versions: fault === 'it does not know a version' ? specVersions.slice(1) : specVersions,
    async run(verb: Verb, request: RawRequest) {
      return verbs[verb](request, (one) => one === fault);
    },
    plan: async (request) => dryRun(request, (one) => one === fault),
    repair: async (request) => repair(request, (one) => one === fault),
  };
}

type Has = (fault: Fault) => boolean;

const verbs: Record<Verb, (request: RawRequest, has: Has) => Result | undefined> = {
  add(request, has) {
    const { containerId: id, ifname, netns, undo } = request;
    const inside = Netns.open(netns);
    const repeated = existsSync(note(request));
    if (repeated && has('its repeated ADD leaves a link')) change('ip link add again type bridge');
    if (repeated && !has('its repeated ADD takes back the first')) {
      throw new Error(`${id} is there already`);
    }
    mkdirSync(folder(request), { recursive: true });
    undo.add('note', () => rmSync(note(request), { force: true }));
    writeFileSync(note(request), `${id} ${ifname}`);
    if (has('its failed ADD leaves a chain without rules'))
      change(`nft add table ip toy; nft add chain ip toy ${id}`);
    if (!has('its failed ADD leaves a link')) undo.add('host link', () => void run(`ip link del t-${id}`));
    change(`ip link add t-${id} type bridge`);
    if (has('its DEL leaves an nftables rule'))
      change(
        `nft add table ip toy; nft add chain ip toy c; nft add rule ip toy c ip saddr 10.9.0.1 comment "${id}"`,
      );
    if (has('its DEL leaves a legacy iptables rule'))
      change(`iptables-legacy -t nat -A POSTROUTING -s 10.9.0.1 -m comment --comment ${id} -j ACCEPT`);
    if (has('its DEL leaves a setting on the host') && id !== 'warmup')
      change('sysctl -qw net.ipv4.ip_forward=1');
    if (has('its DEL leaves a setting in the container'))
      change('sysctl -qw net.ipv4.conf.lo.arp_notify=1', inside);
    if (has('its DEL leaves an address in the container'))
      change('ip address add 10.9.0.2/32 dev lo', inside);
    undo.add('link', () => void inside.run(() => run(`ip link del ${ifname}`)));
    change(
      `ip link add ${ifname} type bridge; ip link set ${ifname} address 02:00:00:00:00:01 alias ${id}`,
      inside,
    );
    if (!has('its result tells an address that is not there'))
      change(`ip address add 10.9.0.1/24 dev ${ifname}`, inside);
    const short = has('its result is invalid in 0.4.0') && request.cniVersion === '0.4.0';
    return {
      interfaces: [
        { name: `t-${id}` },
        {
          name: ifname,
          mac: `02:00:00:00:00:0${has('its result tells another MAC') ? 2 : 1}`,
          sandbox: netns,
        },
      ],
      ips: [{ address: short ? '10.9.0.1' : '10.9.0.1/24', interface: 1 }],
    };
  },

  check({ netns, ifname, containerId }, has) {
    const seen = Netns.open(netns).run(() => run(`ip -o -4 address show dev ${ifname}`));
    if (!seen.includes('10.9.0.1/24') && !has('its CHECK is blind'))
      throw new Error('10.9.0.1/24 is missing');
    if (has('its CHECK finds too much')) throw new Error('the moon is missing');
    if (has('its CHECK repairs')) run(`ip link set t-${containerId} up`);
    return undefined;
  },

  del(request, has) {
    const { netns, prevResult, containerId } = request;
    if (has('its DEL needs prevResult') && !prevResult) throw new Error('prevResult, please');
    if (has('its DEL wants CNI_NETNS') && netns === '') throw new Error('CNI_NETNS, please');
    if (has('its DEL stops where the namespace is gone') && !existsSync(netns)) return undefined;
    const known = existsSync(note(request));
    if (has('its second DEL fails') && !known && containerId !== 'warmup')
      throw new Error('never heard of it');
    if (has('its DEL without ADD fails') && !known) throw new Error('never heard of it');
    if (has('its DEL forgets before it removes')) {
      if (!known) return undefined;
      rmSync(note(request));
    }
    remove(`t-${containerId}`);
    if (has('its DEL wants its options') && request.json.color === undefined) {
      throw new Error('the color, please');
    }
    const inside = namespaceAt(netns, has('its DEL wants a namespace behind CNI_NETNS'));
    if (inside) {
      const there = inside.run(() => exists(request.ifname));
      if (has('its DEL wants the interface') && known && !there) throw new Error('the interface, please');
      const own = has('its DEL takes a link by its name alone')
        ? there
        : there && inside.run(() => isOf(containerId, request.ifname));
      const taken =
        has('its DEL takes the link of the container that has the namespace now') && known && there;
      if (own || taken) inside.run(() => remove(request.ifname));
    }
    if (!has('its DEL leaves a file')) rmSync(note(request), { force: true });
    return undefined;
  },

  gc(request, has) {
    if (has('its GC does nothing')) return undefined;
    const valid = request.validAttachments.map(({ containerId }) => containerId);
    if (has('its GC removes what is valid')) valid.length = 0;
    const lost = existsSync(folder(request))
      ? readdirSync(folder(request)).filter((id) => !valid.includes(id))
      : [];
    if (has('its GC takes the valid with the lost') && lost.length > 0) lost.push(...valid);
    for (const id of lost) {
      const path = join(folder(request), `../../netns-${id}`);
      if (has('its GC spares what is lost while the namespace lives') && existsSync(path)) continue;
      remove(`t-${id}`);
      rmSync(join(folder(request), id), { force: true });
    }
    return undefined;
  },

  status(_, has) {
    if (has('its STATUS refuses a network that works')) throw new Error('not today');
    return undefined;
  },
};

function dryRun({ containerId: id, ifname, netns }: RawRequest, has: Has): DryRun {
  if (has('its dry run makes something')) run(`ip link add t-${id} type bridge`);
  const texts = [
    `link t-${id}`,
    `link ${ifname}`,
    ...(has('its dry run keeps an address to itself') ? [] : [address]),
  ];
  return {
    changes: texts.map((text) => ({ sign: '+', text: `+ ${text}` })),
    result: {
      interfaces: [{ name: `t-${id}` }, { name: ifname, sandbox: netns }],
      ips: [{ address, interface: 1 }],
    },
  };
}

function repair({ netns, ifname }: RawRequest, has: Has): string[] {
  const inside = Netns.open(netns);
  const there = inside.run(() => run(`ip -o -4 address show dev ${ifname}`)).includes(address);
  if (has('its REPAIR is blind') || (there && !has('its REPAIR does not look'))) return [];
  if (!there && !has('its REPAIR does nothing'))
    inside.run(() => run(`ip address add ${address} dev ${ifname}`));
  return [address];
}

const address = '10.9.0.1/24';
const folder = ({ json }: RawRequest) => String(json.dataDir);
const note = (request: RawRequest) => join(folder(request), request.containerId);

function change(command: string, inside?: Netns): void {
  kernelWrite(command);
  if (inside) inside.run(() => run(command));
  else run(command);
}

/** Undefined when there is none, unless `demand`ed. */
function namespaceAt(path: string, demand: boolean): Netns | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return Netns.open(path);
  } catch (thrown) {
    if (demand) throw thrown;
    return undefined; // reason: what is no namespace is one that is gone
  }
}

function isOf(id: string, link: string): boolean {
  return run(`ip link show ${link}`).includes(`alias ${id}`);
}

function exists(link: string): boolean {
  return existsSync(`/proc/sys/net/ipv4/conf/${link}`);
}

function remove(link: string): void {
  if (exists(link)) change(`ip link del ${link}`);
}

export const alone: Case = {
  title: 'a plugin that keeps every promise',
  config: (host) => ({ dataDir: join(host.dir, 'toy'), color: 'red' }),
  tamperings: {
    'no address': {
      by: (_, container) => container.sh('ip address flush dev eth0'),
      says: /10\.9\.0\.1\/24 is missing/,
    },
  },
};

/** Behind a plugin that made a link on the host, one in the container, and a port of a bridge. */
export const chained: Case = {
  ...alone,
  title: 'the same, in a chain',
  before(host, container) {
    if (!host.succeeds('ip link show cni9')) host.sh('ip link add cni9 type bridge');
    container.sh('ip link add before0 type bridge');
    return { cniVersion: '1.1.0', interfaces: [{ name: 'before0', sandbox: container.path }], ips: [] };
  },
};

/** That the suite reports each fault by the promise that is broken, for the plugin in this case. */
export function reportsFaults(one: Case): void {
  describe(`the suite about ${one.title}`, () => {
    test.each(Object.keys(faults) as Fault[])('reports that %s', async (fault) => {
      const [title, says] = faults[fault];
      const concerned = checks(toy(fault), one, 100).filter(([name]) => name.startsWith(title));
      expect(concerned).toHaveLength(1);
      const [[, check] = concerned.at(0) ?? []] = concerned;
      expect(await complaint(check)).toMatch(says);
    });
  });
}
