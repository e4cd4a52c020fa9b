/**
 * Keeps the networks of one host apart, each behind its own bridge. Two chains as Docker has them: the first picks
 * what leaves a bridge for elsewhere, the second drops what is about to enter a bridge that keeps to itself. Thus
 * bridges without a policy stay reachable.
 *
 * Published ports are for everybody, other networks and neighbours included: a connection whose destination was
 * translated is excepted, as the reference's policy does not. The exception is each bridge's own and stands before the
 * rule it is one from, so that it holds wherever the reference inserts rules of other bridges.
 */
import { drop, jump, type RuleSpec, toCaller, type When } from '@cni-ts/rules/rule-spec';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';

/** A bridge that others must not reach; `isolated`: not even its own ports each other. */
export interface Isolation {
  readonly bridge: string;
  readonly isolated: boolean;
}

const names = ['', 'open', 'same-bridge', 'isolated'];

export function checkPolicy(policy: string): void {
  if (names.includes(policy)) return;
  throw new CniError(
    ErrorCode.internal,
    `unknown ingress policy: ${JSON.stringify(policy)}`,
    'ingressPolicy must be "open", "same-bridge" or "isolated"',
  );
}

/** Whether a policy asks for anything. */
export function isolates(policy: string): boolean {
  return policy === 'same-bridge' || policy === 'isolated';
}

/** What the configured policy asks for; undefined: nothing. Throws if the result has no bridge to apply it to. */
export function isolationOf(policy: string, { interfaces: [first] = [] }: Result): Isolation | undefined {
  if (!isolates(policy)) return undefined;
  if (first === undefined) {
    throw new Error(
      `interface needs to be set for ingress policy ${JSON.stringify(policy)}, make sure to chain "firewall" plugin with "bridge"`,
    );
  }
  if (first === null) throw new Error('got nil interface');
  if (first.name === '') throw new Error('got empty bridge name');
  return { bridge: first.name, isolated: policy === 'isolated' };
}

export const isolationChains = ['CNI-ISOLATION-STAGE-1', 'CNI-ISOLATION-STAGE-2'] as const;

/**
 * The policy's rules, in the order they are made; an exception right after the rule above which it stands. What concerns
 * all bridges has a comment of its own. `forward`: the chain through which all traffic passes.
 */
export function isolationRules({ bridge, isolated }: Isolation, forward: string): RuleSpec[] {
  const [stage1, stage2] = isolationChains;
  const own = commentOn(isolated ? 'isolated' : 'same-bridge');
  const shared = commentOn('same-bridge|isolated');
  const within = { input: bridge, output: bridge };
  const leaving = { when: { input: bridge }, except: { output: bridge } };
  return [
    { chain: forward, place: 'first', action: jump(stage1), comment: shared },
    { chain: stage1, place: 'first', ...leaving, action: jump(stage2), comment: own },
    ...(isolated ? dropping(stage1, within, own) : []),
    { chain: stage1, action: toCaller, comment: shared },
    ...dropping(stage2, { output: bridge }, shared),
    { chain: stage2, action: toCaller, comment: shared },
  ];
}

/** Drops, but for connections to published ports. Rules of the reference's do without the exception. */
function dropping(chain: string, when: When, comment: string): RuleSpec[] {
  const published = { ...when, state: ['dnat'] } as const;
  return [
    { chain, place: 'first', when, action: drop, comment },
    { chain, place: 'above', when: published, action: toCaller, comment, ours: true },
  ];
}

function commentOn(policies: string): string {
  return `CNI firewall plugin rules (ingressPolicy: ${policies})`;
}
