/** Probes of the kernel's settings and tables: forwarding, policies, source checks, connections. */
import { type Cidr, formatCidr, networkOf } from '@cni-ts/address/cidr';
import { Netns } from '@cni-ts/libc/netns';
import { readSysctlIfAny } from '@cni-ts/libc/sysctl';
import { errorText } from '@cni-ts/spec/cni-error';
import { grouped } from '../grouped.ts';
import { many } from '../many.ts';
import type { Attached } from '../node/attached.ts';
import { hostEndOf } from '../node/links-here.ts';
import type { HostChain } from '../node/rules-here.ts';
import type { Sight } from '../node/sight.ts';
import { droppingChains, type Packet, type Verdict, verdictOf } from './forwarding.ts';
import { type Exam, type Found, isForwarded, type Probe } from './probe.ts';

/** Attachments that live and whose packets this host forwards, by network and subnet. */
function forwarded({ attached }: Exam): { network: string; subnet: Cidr; one: Attached; own: Cidr }[] {
  const found = new Map<string, { network: string; subnet: Cidr; one: Attached; own: Cidr }>();
  for (const one of attached) {
    if (!one.lives || !isForwarded(one)) continue;
    for (const own of one.addresses) {
      if (!hasGateway(one, own)) continue;
      const subnet = networkOf(own);
      const key = `${one.network} ${formatCidr(subnet)}`;
      if (!found.has(key)) found.set(key, { network: one.network, subnet, one, own });
    }
  }
  return [...found.values()];
}

/** It is to reach more than its own subnet. */
function hasGateway({ result: { ips = [], routes = [] } }: Attached, { ip }: Cidr): boolean {
  const isOf = (text: string | undefined) => text !== undefined && text.includes(':') === (ip.family === 6);
  return ips.some(({ gateway }) => isOf(gateway)) || routes.some(({ dst }) => isOf(dst));
}

export const forwardPolicy: Probe = {
  name: 'forwarding rules',
  run(exam) {
    const { sight } = exam;
    const found: Found[] = [];
    const unknown: string[] = [];
    const groups = forwarded(exam);
    for (const { network, subnet, one, own } of groups) {
      for (const base of droppingChains(sight.rules, own.ip.family)) {
        const input = hostLink(sight, one);
        const out: Packet = { from: own.ip, to: undefined, input, output: uplink(sight, own.ip.family) };
        const verdict = verdictOf(out, base, sight.rules);
        if (verdict === 'accept') continue;
        const what = `FORWARD policy DROP, nothing accepts ${formatCidr(subnet)} of network ${network}`;
        if (verdict === 'unknown') {
          unknown.push(`${what}, as far as rules of ${chainName(base)} are understood: see "cnitool trace"`);
          continue;
        }
        found.push({
          code: 'CNI3021',
          message: `${what} (${chainName(base)}${isDockers(sight) ? ", Docker's" : ''})`,
          cure: acceptance(sight, base, network, subnet),
        });
      }
    }
    return {
      found,
      fine: groups.length === 0 ? undefined : `${many(groups.length, 'subnet')} accepted`,
      unknown,
    };
  },
};

function chainName({ table, name }: HostChain): string {
  return /^ip6?tables /.test(table) ? `${table} ${name}` : `nft ${table} ${name}`;
}

function isDockers({ rules: { chains } }: Sight): boolean {
  return chains.some(({ name }) => name === 'DOCKER-USER' || name === 'DOCKER');
}

/** Docker leaves its chain DOCKER-USER as it is, also when it starts anew. */
function acceptance(sight: Sight, { table, name }: HostChain, network: string, subnet: Cidr): string {
  const text = formatCidr(subnet);
  const plugin = `add the firewall plugin to network ${network}`;
  const isIptables = /(^ip6?tables |^ip6? filter$)/.test(table);
  if (!isIptables) {
    const word = subnet.ip.family === 4 ? 'ip' : 'ip6';
    return `${plugin}, or: nft insert rule ${table} ${name} ${word} saddr ${text} accept; nft insert rule ${table} ${name} ${word} daddr ${text} accept`;
  }
  const program = subnet.ip.family === 4 ? 'iptables' : 'ip6tables';
  const has = sight.rules.chains.some((one) => one.table === table && one.name === 'DOCKER-USER');
  const chain = has ? 'DOCKER-USER' : name;
  return `${plugin}, or: ${program} -I ${chain} -s ${text} -j ACCEPT; ${program} -I ${chain} -d ${text} -j ACCEPT`;
}

/** The link of the host that packets of the attachment come in by: the bridge, or the veth's end. */
function hostLink(sight: Sight, one: Attached): string | undefined {
  const place = sight.inside.get(one.netns);
  if (place === undefined || place instanceof Error) return undefined;
  const inner = place.links.find(({ name }) => name === one.ifname);
  const end = inner && hostEndOf(inner, sight.host.links);
  if (!end) return undefined;
  return end.master === '' ? end.name : end.master;
}

function uplink({ host: { routes, links } }: Sight, family: 4 | 6): string | undefined {
  const way = routes.find(({ dst }) => dst.prefix === 0 && dst.ip.family === family);
  const index = way?.hops[0]?.index;
  return links.find((one) => one.index === index)?.name;
}

export const forwarding: Probe = {
  name: 'forwarding',
  run(exam) {
    const groups = forwarded(exam);
    const found: Found[] = [];
    for (const family of [4, 6] as const) {
      if (!groups.some(({ own }) => own.ip.family === family)) continue;
      const [key, name] =
        family === 4
          ? ['net/ipv4/ip_forward', 'net.ipv4.ip_forward']
          : ['net/ipv6/conf/all/forwarding', 'net.ipv6.conf.all.forwarding'];
      if (readSysctlIfAny(key) !== '0') continue;
      found.push({
        code: 'CNI3028',
        message: `${name} is 0: containers reach nothing beyond this host`,
        cure: `sysctl -w ${name}=1, and in /etc/sysctl.d`,
      });
    }
    return { found, fine: groups.length === 0 ? undefined : 'on' };
  },
};

/** Docker and Kubernetes have what stays within a bridge pass the rules for forwarded packets. */
export const bridged: Probe = {
  name: 'bridged packets',
  run(exam) {
    const { sight } = exam;
    const found: Found[] = [];
    if (readSysctlIfAny('net/bridge/bridge-nf-call-iptables') !== '1') return { found };
    const neighbours = new Map<string, { one: Attached; own: Cidr }>();
    for (const one of sight.attached) {
      const [own] = one.addresses.filter(({ ip }) => ip.family === 4);
      if (!one.lives || !own || one.plugins[0]?.type !== 'bridge') continue;
      const bridge = hostLink(sight, one) ?? '';
      const other = neighbours.get(bridge);
      neighbours.set(bridge, other ?? { one, own });
      if (!other || bridge === '' || found.some(({ message }) => message.includes(` ${bridge} `))) continue;
      const packet: Packet = { from: own.ip, to: other.own.ip, input: bridge, output: bridge };
      const verdicts = droppingChains(sight.rules, 4).map(
        (base): Verdict => verdictOf(packet, base, sight.rules),
      );
      if (!verdicts.includes('drop')) continue;
      found.push({
        code: 'CNI3011',
        message: `containers on ${bridge} do not reach each other: bridge-nf-call-iptables is 1, and FORWARD drops what goes from it to itself`,
        cure: `iptables -I FORWARD -i ${bridge} -o ${bridge} -j ACCEPT`,
      });
    }
    return { found, fine: neighbours.size === 0 ? undefined : many(neighbours.size, 'bridge') };
  },
};

/** Of containers with several interfaces. */
export const sourceChecks: Probe = {
  name: 'source checks',
  run({ attached }) {
    const found: Found[] = [];
    const unknown: string[] = [];
    const places = grouped(
      attached.filter(({ lives, addresses }) => lives && addresses.some(({ ip }) => ip.family === 4)),
      ({ netns }) => netns,
    );
    let looked = 0;
    for (const [path, ofPlace] of places) {
      const [first] = ofPlace;
      if (ofPlace.length < 2 || !first) continue;
      // Each source then has a table of its own.
      if (ofPlace.some(({ plugins }) => plugins.some(({ type }) => type === 'sbr'))) continue;
      looked++;
      try {
        const strict = strictAmong(path, ofPlace);
        if (strict.length === 0) continue;
        const names = strict
          .map(({ ifname }) => ifname)
          .sort()
          .join(', ');
        found.push({
          code: 'CNI3010',
          message: `${first.containerId} has ${ofPlace.length} interfaces, and rp_filter is strict on ${names}: what comes in by one and is answered by the other is dropped`,
          cure: `nsenter --net=${path} sysctl -w net.ipv4.conf.all.rp_filter=2, or the sbr plugin`,
        });
      } catch (error) {
        unknown.push(`${path}: ${errorText(error)}`);
      }
    }
    return { found, fine: looked === 0 ? undefined : many(looked, 'container'), unknown };
  },
};

/** Those whose interface takes only what it would answer by the same way: the higher of two settings counts. */
function strictAmong(path: string, attached: readonly Attached[]): Attached[] {
  const netns = Netns.open(path);
  try {
    return netns.run(() =>
      attached.filter(({ ifname }) => {
        const values = ['all', ifname].map((name) => readSysctlIfAny(`net/ipv4/conf/${name}/rp_filter`));
        return Math.max(...values.map((value) => Number(value ?? 0))) === 1;
      }),
    );
  } finally {
    netns.close();
  }
}

/** From this part of the table on it is nearly full. */
const nearly = 0.9;

export const connections: Probe = {
  name: 'connections',
  run() {
    const [count, most] = ['count', 'max'].map((name) =>
      readSysctlIfAny(`net/netfilter/nf_conntrack_${name}`),
    );
    if (count === undefined || most === undefined) return { found: [] };
    if (Number(count) < Number(most) * nearly) return { found: [], fine: `${count} of ${most}` };
    const code = 'CNI3012';
    const message = `the table of connections is nearly full: ${count} of ${most}`;
    return {
      found: [{ code, message, cure: `sysctl -w net.netfilter.nf_conntrack_max=${Number(most) * 2}` }],
    };
  },
};
