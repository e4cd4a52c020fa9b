/** Two nodes and etcd as one state: what it is made of, how it begins, and what must not be in it. */
import { type Action, type Event, type Hold, type Pool, startPool } from '../src/pool.ts';
import type { Compare, Etcd, Who } from './etcd-rules.ts';
import * as rules from './etcd-rules.ts';

/** What a node's own side leaves out, beside what etcd's does. */
export type LeftOut = Compare | 'boot confirm' | 'claim equality' | 'draining in the file before the delete';

export interface Setting {
  readonly nodes: readonly [Who, Who];
  /** What can be wanted: blocks, and addresses of one owner (`pin/p`). */
  readonly slots: readonly string[];
  readonly sticky?: boolean;
  /** The addresses of each block. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Those that containers get. */
  readonly given: string;
  /** How often it may happen, in all. */
  readonly budget: Readonly<Partial<Record<Budget, number>>>;
  readonly without?: LeftOut;
}
/** message: one is delivered. rise: a machine or agent comes up. rest: what is in use is freed and goes back. */
export type Fair = 'message' | 'rise' | 'rest' | 'look';
export type Budget = 'claim' | 'crash' | 'off' | 'again' | 'fence' | 'look' | 'drain';

export interface Machine {
  on: boolean;
  /** Of the agent; null while it does not run. */
  pool: Pool | null;
  file: { holds: readonly Hold[]; fresh: boolean };
  /** Addresses of living containers. */
  used: string;
}
export type Request = Exclude<Action, { do: 'write' | 'settle' }>;
export type Message = { node: number; ask: Request } | { node: number; tell: Event };

export interface World {
  etcd: Etcd;
  machines: [Machine, Machine];
  net: Message[];
  /** What a running `fence --off` has still to delete. */
  fence: { node: string; rest: [slot: string, modified: string][] } | null;
  left: Readonly<Record<Budget, number>>;
  /** Names of revisions and claims that were given. */
  names: number;
}

/** Two agents that run and hold nothing; the second of one name is not yet started. */
export function firstWorld({ budget, nodes }: Setting): World {
  const [a, b] = nodes;
  const fresh = { holds: [], fresh: true };
  const running = { on: true, pool: { ...startPool([], true), registered: true }, file: fresh, used: '' };
  const names = a.node === b.node ? { [a.node]: a.uid } : { [a.node]: a.uid, [b.node]: b.uid };
  return {
    etcd: { entries: {}, nodes: names },
    machines: [running, a.node === b.node ? { ...running, pool: null } : running],
    net: [],
    fence: null,
    left: { claim: 0, crash: 0, off: 0, again: 0, fence: 0, look: 0, drain: 0, ...budget },
    names: 0,
  };
}

/** Whether one block lies in the other by their addresses. */
export const insideOf =
  (addresses: Setting['addresses']): rules.Geometry =>
  (outer, inner) =>
    outer !== inner &&
    addresses[outer]!.length > addresses[inner]!.length &&
    addresses[outer]!.includes(addresses[inner]!);

/** What is wrong in this world, of I1, I2 and I3. */
export function violation({ etcd, machines }: World, { addresses, nodes }: Setting): string | undefined {
  const slots = Object.keys(etcd.entries);
  for (const one of slots) {
    for (const other of slots) {
      const [a, b] = [rules.split(one)[1], rules.split(other)[1]];
      if (one !== other && (a === b || insideOf(addresses)(a, b))) return `I2: ${other} lies in ${one}`;
    }
  }
  for (const [i, { used }] of machines.entries()) {
    for (const address of used) {
      if (machines[1 - i]!.used.includes(address)) return `I1: two containers have ${address}`;
      const its = Object.entries(etcd.entries).find(([slot]) =>
        addresses[rules.split(slot)[1]]!.includes(address),
      );
      const who = nodes[i]!;
      if (its?.[1].node !== who.node || its[1].uid !== who.uid) {
        return `I3: a container of ${'AB'[i]} has ${address}, and etcd has no block of that node for it`;
      }
    }
  }
  return undefined;
}

/** Parts of a world are never changed, and most are parts of many. */
const texts = new WeakMap<object, string>();
export function textOf(part: object): string {
  let text = texts.get(part);
  if (text === undefined) {
    text = JSON.stringify(part);
    texts.set(part, text);
  }
  return text;
}
