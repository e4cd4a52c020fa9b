/**
 * Keeps the networks of one host apart, each behind its own bridge. Two chains as Docker has them: the first picks
 * what leaves a bridge for elsewhere, the second drops what is about to enter a bridge that keeps to itself. Thus
 * bridges without a policy stay reachable.
 *
 * Published ports are for everybody, other networks and neighbours included: a connection whose destination was
 * translated is excepted, as the reference's policy does not. The exception is each bridge's own and stands before the
 * rule it is one from, so that it holds wherever the reference inserts rules of other bridges.
 */
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

/** What the configured policy asks for; undefined: nothing. Throws if the result has no bridge to apply it to. */
export function isolationOf(policy: string, result: Result | undefined): Isolation | undefined {
  checkPolicy(policy);
  if (policy === '' || policy === 'open') return undefined;
  const [first] = result?.interfaces ?? [];
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

/** One rule of the policy, in no backend's language. */
export interface IsolationRule {
  readonly chain: 'FORWARD' | (typeof isolationChains)[number];
  readonly first: boolean;
  readonly input?: string;
  readonly output?: string;
  readonly notOutput?: string;
  /** Only connections whose destination was translated. Only ours: rules of the reference's do without. */
  readonly published?: true;
  readonly verdict: 'DROP' | 'RETURN' | (typeof isolationChains)[number];
  readonly comment: string;
}

/** In the order they are made; an exception right after the rule before which it stands. What concerns all bridges has a
 *  comment of its own. */
export function isolationRules({ bridge, isolated }: Isolation): IsolationRule[] {
  const [stage1, stage2] = isolationChains;
  const own = comment(isolated ? 'isolated' : 'same-bridge');
  const shared = comment('same-bridge|isolated');
  return [
    { chain: 'FORWARD', first: true, verdict: stage1, comment: shared },
    { chain: stage1, first: true, input: bridge, notOutput: bridge, verdict: stage2, comment: own },
    ...(isolated
      ? [
          {
            chain: stage1,
            first: true,
            input: bridge,
            output: bridge,
            verdict: 'DROP' as const,
            comment: own,
          },
          {
            chain: stage1,
            first: true,
            input: bridge,
            output: bridge,
            published: true as const,
            verdict: 'RETURN' as const,
            comment: own,
          },
        ]
      : []),
    { chain: stage1, first: false, verdict: 'RETURN', comment: shared },
    { chain: stage2, first: true, output: bridge, verdict: 'DROP', comment: shared },
    { chain: stage2, first: true, output: bridge, published: true, verdict: 'RETURN', comment: shared },
    { chain: stage2, first: false, verdict: 'RETURN', comment: shared },
  ];
}

function comment(policies: string): string {
  return `CNI firewall plugin rules (ingressPolicy: ${policies})`;
}
