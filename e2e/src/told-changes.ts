/** What has changed between two looks is held against the lines of a dry run. */
import type { Snapshot } from '@cni-ts/testing/snapshot';

export interface Look {
  readonly host: Snapshot;
  readonly container: Snapshot;
}

/** One thing that is there and was not before, and which lines tell of it. */
interface Fact {
  /** '' of what needs no line of its own, and may bear one out. */
  readonly what: string;
  readonly by: (line: string) => boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: what other programs print
type Json = Record<string, any>;

/** Facts that no line tells, and lines that no fact bears out. */
export function untold(
  before: Look,
  after: Look,
  lines: readonly string[],
): { made: string[]; told: string[] } {
  const facts = [
    ...linkFacts(before, after),
    ...addressFacts(before, after),
    ...routeFacts(before, after),
    ...ruleFacts(before, after),
    ...settingFacts(before, after),
    ...qdiscFacts(before, after),
    ...netfilterFacts(before, after),
    ...fileFacts(before, after),
  ];
  return {
    made: facts.filter(({ what, by }) => what !== '' && !lines.some(by)).map(({ what }) => what),
    told: lines.filter((line) => !facts.some(({ by }) => by(line))),
  };
}

const places = ['host', 'container'] as const;

/** Members of a list that were not there before. */
function fresh(before: unknown, after: unknown): Json[] {
  const known = new Set((before as unknown[]).map((one) => JSON.stringify(one)));
  return (after as Json[]).filter((one) => !known.has(JSON.stringify(one)));
}

const names = (look: Snapshot) => new Set(look.links.map(({ name }) => String(name)));
const word = (name: string) => new RegExp(`(^|[\\s,])${name.replace(/[.*+?]/g, '\\$&')}($|[\\s,:])`);

function linkFacts(before: Look, after: Look): Fact[] {
  return places.flatMap((place) => {
    return after[place].links.flatMap((link): Fact[] => {
      const { name, flags, mtu, mac, master, kind } = link as Json;
      const was = before[place].links.find((one) => one.name === name) as Json | undefined;
      if (!was) {
        const own = word(name);
        const made = {
          what: `${place} link ${name}`,
          by: (line: string) => /^(link|bridge) /.test(line) && own.test(line),
        };
        const isUp = { what: `${name} up`, by: (line: string) => line === `link ${name} up` };
        const port = {
          what: `${name} in ${master}`,
          by: (line: string) =>
            line.startsWith(`port ${name} of ${master}`) || line.startsWith(`link ${name} into ${master}`),
        };
        const more = {
          what: '',
          by: (line: string) => line === `mtu of ${name}: ${mtu}` || line === `mac of ${name}: ${mac}`,
        };
        const ups = place === 'container' && flags.includes('UP') && kind !== 'vrf' ? [isUp] : [];
        return [made, ...ups, ...(master ? [port] : []), more];
      }
      const ups = flags.includes('UP') && !was.flags.includes('UP');
      return ups ? [{ what: `${name} up`, by: (line) => line === `link ${name} up` }] : [];
    });
  });
}

function addressFacts(before: Look, after: Look): Fact[] {
  return places.flatMap((place) => {
    const of = ({ addresses }: Snapshot) =>
      (addresses as [string, ...Json[]][]).flatMap(([link, ...all]) =>
        all.filter(({ scope }) => scope !== 'link').map(({ address }) => `${address} on ${link}`),
      );
    const known = new Set(of(before[place]));
    return of(after[place])
      .filter((one) => !known.has(one) && !one.endsWith(' on lo'))
      .map((one) => ({ what: `address ${one}`, by: (line: string) => line.startsWith(`address ${one}`) }));
  });
}

const dstOf = (dst: string, v6: boolean) => {
  if (dst === 'default') return v6 ? '::/0' : '0.0.0.0/0';
  return dst.includes('/') ? dst : `${dst}/${v6 ? 128 : 32}`;
};

function routeFacts(before: Look, after: Look): Fact[] {
  return places.flatMap((place) =>
    fresh(before[place].routes, after[place].routes)
      .filter(({ protocol, type }) => protocol !== 'kernel' && type !== 'multicast')
      .map(({ dst, gateway, dev, table, prefsrc }) => {
        const v6 = `${dst}${gateway ?? ''}${prefsrc ?? ''}`.includes(':');
        const text = `route ${dstOf(dst, v6)}${gateway ? ` via ${gateway}` : ''} dev ${dev}`;
        const isMain = table === undefined || table === 'main';
        const moved = `lookup ${table}, with the routes of ${dev}`;
        const vrf = `, with its routes`;
        return {
          what: `${text} table ${table}`,
          by: (line: string) =>
            line.startsWith(text) || (!isMain && (line.endsWith(moved) || line.endsWith(vrf))),
        };
      }),
  );
}

function ruleFacts(before: Look, after: Look): Fact[] {
  return fresh((before.container.rules as unknown[]).flat(), (after.container.rules as unknown[]).flat())
    .filter(({ src, table }) => src !== 'all' && table !== undefined)
    .map(({ src, table }) => {
      const text = `rule from ${src} lookup ${table}`;
      return { what: text, by: (line: string) => line.startsWith(text) };
    });
}

function settingFacts(before: Look, after: Look): Fact[] {
  return places.flatMap((place) => {
    const [was, is] = [before[place].settings, after[place].settings] as [Json, Json];
    const links = names(before[place]);
    return Object.entries(is).flatMap(([key, value]): Fact[] => {
      const link = /\/(?:conf|neigh)\/([^/]+)\//.exec(key)?.[1];
      const isNew = link !== undefined && !['all', 'default'].includes(link) && !links.has(link);
      const known = isNew ? was[key.replace(`/${link}/`, '/default/')] : was[key];
      if (known === value) return [];
      const told = (line: string) =>
        line === `sysctl ${key.replaceAll('/', '.')} ${known} → ${value}` ||
        line === `configured value of /proc/sys/${key} is ${value}, current value is ${known}`;
      // Forwarding is one switch that shows in many places; the rest of a new link's settings comes with the link.
      const follows =
        /(forwarding|accept_redirects)$/.test(key) && !/^net\/ipv6\/conf\/all\/forwarding$/.test(key);
      const comesWithModule = known === undefined;
      const isOwn = comesWithModule || (isNew && !/route_localnet|arp_filter/.test(key));
      return [{ what: follows || isOwn ? '' : `${place} ${key} ${known} → ${value}`, by: told }];
    });
  });
}

function qdiscFacts(before: Look, after: Look): Fact[] {
  const [was = []] = before.host.qdiscs as Json[][];
  const [is = []] = after.host.qdiscs as Json[][];
  return fresh(was, is).map(({ kind, dev }) => ({
    what: `qdisc ${kind} of ${dev}`,
    by: (line: string) =>
      kind === 'tbf'
        ? line.startsWith(`tbf on ${dev}: `) || line.startsWith(`link ${dev}, ifb, with tbf: `)
        : kind === 'ingress' && line.startsWith(`ingress of ${dev} redirected to `),
  }));
}

/** Each table of rules by what it is for. */
const purposes: readonly [RegExp, RegExp][] = [
  [/masq|MASQUERADE.*id:|CNI-[0-9a-f]{24}/, /^masquerading of /],
  [/hostport|CNI-DN|CNI-HOSTPORT/, / → .* by (nftables|iptables)$/],
  [/ISOLATION/, /^policy /],
  [/cni_plugins_firewall|CNI-FORWARD|CNI-ADMIN/, /^traffic of .* let through by /],
];

function netfilterFacts(before: Look, after: Look): Fact[] {
  const added = [
    ...fresh(before.host.nftables, after.host.nftables).map((one) => JSON.stringify(one)),
    ...after.host.iptables.filter((one) => !before.host.iptables.includes(one)),
  ];
  return added.flatMap((one): Fact[] => {
    const found = purposes.find(([what]) => what.test(one));
    // Tables and built-in chains of iptables come with the first rule.
    if (!found) return /"(table|chain)":/.test(one) ? [] : [{ what: one, by: () => false }];
    return [{ what: one, by: (line) => found[1].test(line) }];
  });
}

function fileFacts(before: Look, after: Look): Fact[] {
  const [was, is] = [before.host.files, after.host.files] as [Json, Json];
  return Object.keys(is)
    .filter((path) => is[path] !== was[path] && !path.startsWith('cache/'))
    .map((path) => {
      const name = path.slice(path.lastIndexOf('/') + 1);
      const isReservation = path.startsWith('networks/');
      return {
        what: isReservation ? path : '',
        by: (line: string) => line.startsWith(`reservation of ${name} in `),
      };
    });
}
