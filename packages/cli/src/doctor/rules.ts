/** Probes of rules: whether those of attachments stand, and where published ports lead. */
import { equalIp } from '@cni-ts/address/ip';
import { findProgram } from '@cni-ts/iptables/program';
import { iptablesChains, nftChains, usualInterface } from '@cni-ts/portmap/owner';
import { masqueradeChains } from '@cni-ts/rules/masquerade-chains';
import { memberOf, textMember } from '@cni-ts/skeleton/config-findings';
import { portState, unreadRules } from '../explain/of-port.ts';
import { many } from '../many.ts';
import type { Attached } from '../node/attached.ts';
import { nameOf, unique } from '../node/problem.ts';
import type { Sight } from '../node/sight.ts';
import type { Json } from '../validate/document.ts';
import type { Found, Probe } from './probe.ts';

/** Something that must stand: what all attachments share, and what is this one's. */
interface Expected {
  /** `table cni_hostport (ip)` */
  readonly shared: string;
  readonly purpose: string;
  readonly sharedStands: boolean;
  readonly ownStands: boolean;
}

/** A table or chain that is not there any more: somebody flushed. */
export const tables: Probe = {
  name: 'rules',
  run({ sight, attached, withoutRules }) {
    const missing = new Map<string, { purpose: string; of: Attached[] }>();
    const found: Found[] = [];
    let looked = 0;
    for (const one of attached) {
      if (!one.lives) continue;
      for (const { shared, purpose, sharedStands, ownStands } of expectedOf(sight, one)) {
        looked++;
        if (ownStands) continue;
        withoutRules.add(one);
        if (!sharedStands) {
          const known = missing.get(shared) ?? { purpose, of: [] };
          known.of.push(one);
          missing.set(shared, known);
          continue;
        }
        found.push({
          code: 'CNI3006',
          message: `${nameOf(one)} has no rules for ${purpose} in ${shared}`,
          cure: 'cnitool repair --plan',
          attachment: nameOf(one),
        });
      }
    }
    for (const [shared, { purpose, of }] of missing) {
      const [first] = of;
      const who = of.length === 1 && first ? nameOf(first) : many(of.length, 'attachment');
      found.unshift({
        code: 'CNI3007',
        message: `${shared} is missing: no ${purpose} for ${who}`,
        cure: 'cnitool repair --plan',
      });
    }
    const fine = looked === 0 ? undefined : many(attached.filter(({ lives }) => lives).length, 'attachment');
    return { found, fine, unknown: unreadRules(sight) };
  },
};

function expectedOf(sight: Sight, one: Attached): Expected[] {
  const family = one.addresses.some(({ ip }) => ip.family === 4) ? 4 : 6;
  if (one.addresses.length === 0) return [];
  return one.plugins.flatMap((plugin) => {
    const { type } = plugin;
    if ((type === 'bridge' || type === 'ptp') && memberOf(plugin, 'ipMasq') === true) {
      return [masquerading(sight, one, plugin, family)];
    }
    if (type === 'portmap' && one.ports.length > 0) return [publishing(sight, one, plugin, family)];
    if (type === 'firewall') return letThrough(sight, one, plugin, family);
    return [];
  });
}

const ipOf = (family: 4 | 6) => (family === 4 ? 'ip' : 'ip6');

function hasTable({ rules: { chains } }: Sight, table: string): boolean {
  return chains.some((one) => one.table === table);
}

/** In nf_tables or in the tables of the older kind. */
function hasChain(
  { rules: { chains } }: Sight,
  family: 4 | 6,
  table: string,
  names: readonly string[],
): boolean {
  const tables = [`${ipOf(family)} ${table}`, `${family === 4 ? 'iptables' : 'ip6tables'} ${table}`];
  return chains.some((one) => tables.includes(one.table) && names.includes(one.name));
}

function hasOwnRule(sight: Sight, table: string, one: Attached): boolean {
  return sight.rules.rules.some(
    (rule) => rule.table === table && sight.whose(rule.comment, rule.chain).attached.includes(one),
  );
}

/** Without a word it is iptables where that is installed; what stands tells better. */
function isByNft(backend: string, inIptables: boolean, hasNft: boolean): boolean {
  if (backend !== '') return backend === 'nftables';
  return !inIptables && (hasNft || findProgram('iptables') === undefined);
}

function masquerading(sight: Sight, one: Attached, plugin: Json, family: 4 | 6): Expected {
  const byNft = 'inet cni_plugins_masquerade';
  const { usual, spare } = masqueradeChains(one);
  const inIptables = hasChain(sight, family, 'nat', [usual, spare]);
  const isNft = isByNft(textMember(plugin, 'ipMasqBackend'), inIptables, hasTable(sight, byNft));
  return {
    shared: isNft ? 'table cni_plugins_masquerade (inet)' : `chain ${usual} of iptables' nat table`,
    purpose: 'masquerading',
    sharedStands: isNft && hasTable(sight, byNft),
    ownStands: inIptables || hasOwnRule(sight, byNft, one),
  };
}

function publishing(sight: Sight, one: Attached, plugin: Json, family: 4 | 6): Expected {
  const table = `${ipOf(family)} cni_hostport`;
  const { usual, spare } = iptablesChains(one);
  const ofReference = iptablesChains({ ...one, ifname: usualInterface }).usual;
  const inIptables = hasChain(sight, family, 'nat', [usual, spare, ofReference]);
  const isNft = isByNft(textMember(plugin, 'backend'), inIptables, hasTable(sight, table));
  const own = hasChainIn(sight, table, nftChains(one.containerId).dnat) || hasOwnRule(sight, table, one);
  return {
    shared: isNft ? `table cni_hostport (${ipOf(family)})` : "chain CNI-HOSTPORT-DNAT of iptables' nat table",
    purpose: 'published ports',
    sharedStands: isNft ? hasTable(sight, table) : hasChain(sight, family, 'nat', ['CNI-HOSTPORT-DNAT']),
    ownStands: inIptables || own,
  };
}

function hasChainIn({ rules: { chains } }: Sight, table: string, name: string): boolean {
  return chains.some((one) => one.table === table && one.name === name);
}

/** Where firewalld may have done it, by default or by the configuration, CHECK alone can tell. The reference takes
 *  `nftables` for a word that it does not know. */
function letThrough(sight: Sight, one: Attached, plugin: Json, family: 4 | 6): Expected[] {
  const backend = textMember(plugin, 'backend');
  if (backend !== 'iptables' && backend !== 'nftables') return [];
  const byNft = 'inet cni_plugins_firewall';
  const isNft = backend === 'nftables';
  const sharedStands = isNft ? hasTable(sight, byNft) : hasChain(sight, family, 'filter', ['CNI-FORWARD']);
  const ownStands = sight.rules.rules.some(
    ({ chain, spec: { when } }) =>
      chain === 'CNI-FORWARD' &&
      one.addresses.some(({ ip }) => when.from !== undefined && equalIp(when.from.ip, ip)),
  );
  return [
    {
      shared: isNft ? 'table cni_plugins_firewall (inet)' : "chain CNI-FORWARD of iptables' filter table",
      purpose: 'letting packets through',
      sharedStands,
      ownStands,
    },
  ];
}

/** Ports that another container answers, or nobody. */
export const ports: Probe = {
  name: 'ports',
  run({ sight, attached, withoutRules }) {
    const found: Found[] = [];
    let looked = 0;
    for (const one of attached) {
      for (const { protocol, port } of one.lives ? one.ports : []) {
        looked++;
        for (const problem of portState(sight, { protocol, port }).problems) {
          if (problem.code === 'CNI3006' && withoutRules.has(one)) continue;
          found.push(problem);
        }
      }
    }
    return {
      found: unique(found),
      fine: looked === 0 ? undefined : many(looked, 'published port'),
    };
  },
};
