/** All that can happen to two nodes within a budget of trouble: requests and answers that are lost, late or come twice, agents
 *  that are killed, machines that lose their power and are fenced meanwhile, and two machines of one name. The agent's part is
 *  decide.ts itself. */
import { describe, expect, test } from 'vitest';
import { afterFairWeather, explore } from '../test/explore.ts';
import type { LeftOut, Setting } from '../test/world.ts';

const common = {
  nodes: [
    { node: 'a', uid: 'u1' },
    { node: 'b', uid: 'u2' },
  ],
  // P encloses p; Q is apart.
  addresses: { P: 'xy', p: 'x', Q: 'z' },
  given: 'xz',
} as const;
const oneName = {
  nodes: [
    { node: 'a', uid: 'u1' },
    { node: 'a', uid: 'u2' },
  ],
} as const;

const settings: Readonly<Record<string, Setting>> = {
  'blocks of two sizes': { ...common, slots: ['block/P', 'block/p', 'block/Q'], budget: { claim: 2 } },
  'requests that come twice': { ...common, slots: ['block/P', 'block/p'], budget: { claim: 2, again: 1 } },
  'sticky addresses': {
    ...common,
    slots: ['block/P', 'pin/p'],
    sticky: true,
    budget: { claim: 2, again: 1 },
  },
  'an agent that is killed': { ...common, slots: ['block/P'], budget: { claim: 2, crash: 1 } },
  'a killed agent that looks and drains': {
    ...common,
    slots: ['block/P'],
    budget: { claim: 1, crash: 1, look: 1, drain: 1 },
  },
  'a machine without power, and its fence': {
    ...common,
    slots: ['block/P'],
    budget: { claim: 2, off: 1, fence: 1 },
  },
  'two machines of one name': {
    ...common,
    ...oneName,
    slots: ['block/P'],
    budget: { claim: 1, off: 1, fence: 1 },
  },
};
const limits = { most: 200_000 };
/** To count all states takes two seconds, and on a machine that is busy many times that. */
const patience = { timeout: 120_000 };

describe('no address is held twice, no block lies in another, every container’s block is its node’s (I1, I2, I3)', () => {
  for (const [name, setting] of Object.entries(settings)) {
    test(`in every state, and from it all returns once nothing goes wrong (I6): ${name}`, patience, () => {
      let left: string[] = [];
      const { states, transitions, counterexample } = explore(setting, {
        ...limits,
        visit: (world, at) => {
          if (at % 401 === 0 && left.length === 0) left = afterFairWeather(world, setting);
        },
      });
      expect(counterexample?.join('\n')).toBe(undefined);
      expect(left).toEqual([]);
      // So that a model that does nothing is noticed.
      expect(states).toBeGreaterThan(3000);
      console.log(`${name}: ${states} states, ${transitions} steps`);
    });
  }
});

describe('each compare is needed: without it there is a way to trouble', () => {
  const two = { ...common, slots: ['block/P'], budget: { claim: 2 } };
  const nested = { ...two, slots: ['block/P', 'block/p'] };
  const fenced = { ...two, budget: { claim: 2, off: 1, fence: 1 } };
  const cases: readonly [LeftOut, Setting, string][] = [
    ['own key absent', two, 'I3'],
    ['inside absent', nested, 'I2: block/p lies in block/P'],
    ['enclosing absent', nested, 'I2: block/p lies in block/P'],
    ['pins inside absent', { ...two, slots: ['block/P', 'pin/p'] }, 'I2: pin/p lies in block/P'],
    ['pin absent or unheld', { ...two, slots: ['pin/p'] }, 'I3'],
    ['unchanged on give-back', { ...two, budget: { claim: 2, again: 1 } }, 'I3'],
    ['unchanged on confirm', fenced, 'I3'],
    ['unchanged on fence', fenced, 'I3'],
    ['uid on register', { ...fenced, ...oneName }, 'I3'],
    ['boot confirm', fenced, 'I3'],
    ['claim equality', two, 'I3'],
    ['draining in the file before the delete', two, 'I3'],
  ];
  for (const [without, setting, wrong] of cases) {
    test(without, patience, () => {
      const { counterexample = [], states } = explore({ ...setting, without }, limits);
      expect(counterexample.at(-1)).toContain(wrong);
      console.log(`without "${without}" (${states} states):\n  ${counterexample.join('\n  ')}`);
    });
  }
});
