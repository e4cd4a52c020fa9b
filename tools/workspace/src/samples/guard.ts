import { parseCidr } from '@cni-ts/address/cidr';
import type { Chain } from '@cni-ts/nftables/chain';
import { findChain } from '@cni-ts/nftables/chain';
import { listRules } from '@cni-ts/nftables/rule';
import { ownNetfilter } from '@cni-ts/resource/namespace';
import { ensureInNft, isInNft, removeOwned, ruleText } from '@cni-ts/rules/nft-engine';
import { ownedBy, ownedByNoneOf, type RuleSet, stands } from '@cni-ts/rules/rule-set';
import { drop, hostCidr } from '@cni-ts/rules/rule-spec';
import { networkConfig } from '@cni-ts/skeleton/config';
import { ownerComment } from '@cni-ts/skeleton/owner-comment';
import { definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { repairByCheck } from '@cni-ts/skeleton/repair-by-check';
import * as z from 'zod/mini';

const table = { family: 'inet', name: 'cni_guard' } as const;
const hook: Chain = {
  table,
  name: 'forward',
  base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
};

/** Two rules for each address: nothing goes to that port of the container, and nothing from it to that port. */
function wanted(request: Request<{ port: number }>): RuleSet {
  const { config, prevResult } = request;
  if (!prevResult) throw new Error('guard must be called as chained plugin');
  const comment = ownerComment(request);
  const own = (prevResult.ips ?? []).flatMap(({ address }) => {
    const ip = parseCidr(address)?.ip;
    const one = { chain: hook.name, action: drop, comment };
    const mail = { protocol: 'tcp', port: config.port } as const;
    return ip
      ? [
          { ...one, when: { ...mail, from: hostCidr(ip) } },
          { ...one, when: { ...mail, to: hostCidr(ip) } },
        ]
      : [];
  });
  return { table, chains: [hook], shared: [], own };
}

/** What of the set is there. */
function look(request: Request<{ port: number }>, nl = ownNetfilter(request)) {
  const isThere = findChain(nl, hook) !== undefined;
  const there = {
    has: () => isThere,
    rules: () => (isThere ? listRules(nl, table, hook.name) : []),
    is: isInNft(table),
  };
  return { tables: isThere ? [] : [table], sets: [wanted(request)], there: () => there, stale: () => [] };
}

function missing(request: Request<{ port: number }>): string[] {
  const { sets, there } = look(request);
  return sets
    .flatMap(({ own }) => own.filter((one) => !stands(there(), one, false)))
    .map((one) => ruleText(table, one));
}

function add(request: Request<{ port: number }>) {
  const nl = ownNetfilter(request);
  ensureInNft(nl, 'rules of guard', request.undo, () => look(request, nl));
  return request.prevResult ?? {};
}

function check(request: Request<{ port: number }>): void {
  const [first] = missing(request);
  if (first) throw new Error(`the rule "${first}" is missing in table inet ${table.name}`);
}

/** A sample: a meta plugin with two rules. */
export const guard = definePlugin({
  type: 'guard',
  config: z.object({ ...networkConfig, port: z.int() }),
  add,
  check,
  del: (request) => removeOwned(ownNetfilter(request), () => [hook], ownedBy(request)),
  gc: (request) =>
    removeOwned(
      ownNetfilter(request),
      () => [hook],
      ownedByNoneOf(request.network, request.validAttachments),
    ),
  status: () => undefined,
  plan: (request) => ({
    changes: missing(request).map((text) => ({ sign: '+', text: `rule ${text}` })),
    result: request.prevResult ?? {},
  }),
  repair: (request) =>
    repairByCheck(
      () => check(request),
      () => add(request),
    ),
});
