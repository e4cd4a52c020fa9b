import type { Netlink } from '@cni-ts/netlink/socket';
import { dnat } from '@cni-ts/nftables/action';
import { daddr, dport } from '@cni-ts/nftables/match';
import { comment, listRules, rule, sameRule } from '@cni-ts/nftables/rule';
import { tableText } from '@cni-ts/nftables/table';
import { isReferences } from './nftables-reading.ts';
import { objects } from './nftables-table.ts';
import type { Plan, Target } from './plan.ts';

/**
 * CHECK of what the reference's nftables backend made: a node's plugins are exchanged while its containers run. Its
 * rules stand in the shared chains and have the container's ID as comment. Undefined where there are none.
 */
export function referenceDifferences(nl: Netlink, plan: Plan): string[] | undefined {
  const found = plan.targets.map((target) => differences(nl, plan, target));
  return found.every((one) => one === undefined) ? undefined : found.flatMap((one) => one ?? []);
}

function differences(nl: Netlink, plan: Plan, { address, mappings }: Target): string[] | undefined {
  const { table, hostports, masquerading } = objects(address.ip.family);
  const { containerId } = plan.owner;
  const theirs = (chain: string) =>
    listRules(nl, table, chain).filter((one) => isReferences(one, containerId, [address.ip]));
  const redirecting = theirs(hostports.name);
  if (!redirecting.length) return undefined;
  const missing = mappings
    .map((mapping) =>
      rule(
        ...(mapping.address ? [daddr(mapping.address)] : []),
        dport(mapping.protocol, mapping.port),
        dnat(address.ip, mapping.containerPort),
        comment(containerId),
      ),
    )
    .filter((one) => !redirecting.some((listed) => sameRule(table.family, one, listed)));
  const where = (chain: string) => `chain ${chain} of table ${tableText(table)}`;
  const drift = missing.map(
    (one) =>
      `missing hostport rules in "hostports" chain: rule "${one.text}" is not in ${where(hostports.name)}`,
  );
  const sources = address.ip.family === 4 && !plan.masqAll ? 2 : 1;
  const masquerades = plan.snat ? theirs(masquerading.name).length : sources;
  if (masquerades < sources) {
    drift.push(
      `missing hostport rules in "masquerading" chain: ${masquerades} of ${sources} are in ${where(masquerading.name)}`,
    );
  }
  return drift;
}
