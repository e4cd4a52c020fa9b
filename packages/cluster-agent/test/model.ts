/** Every step that two nodes and etcd can take. Requests and answers lie in `net` until they are delivered: at any time, never,
 *  or (requests) twice. Whoever waits for one may give up at any time. So there is no clock. */
import { decide } from '../src/decide.ts';
import { type Event, startPool } from '../src/pool.ts';
import type { Compare, Etcd, Rules } from './etcd-rules.ts';
import * as rules from './etcd-rules.ts';
import {
  type Budget,
  type Fair,
  insideOf,
  type Message,
  type Request,
  type Setting,
  textOf,
  type World,
} from './world.ts';

export interface Step {
  /** For people: made only where it is shown. */
  readonly label: () => string;
  /** Of what happens while nothing goes wrong and nobody wants anything: earlier ones first. */
  readonly fair?: Fair;
  readonly world: World;
}

function rulesOf({ addresses, without }: Setting): Rules {
  // reason: what else may be left out the rules do not know
  return { inside: insideOf(addresses), without: without as Compare | undefined };
}

/** Every step from here. */
export function steps(world: World, setting: Setting): Step[] {
  const all: Step[] = [];
  const compares = rulesOf(setting);
  const step = (label: string | (() => string), change: (next: World) => void, fair?: Fair) => {
    const next: World = {
      ...world,
      machines: [{ ...world.machines[0] }, { ...world.machines[1] }],
      net: [...world.net],
    };
    change(next);
    all.push({ label: typeof label === 'string' ? () => label : label, world: next, ...(fair && { fair }) });
  };
  const spend = (
    what: Budget,
    label: string | (() => string),
    change: (next: World) => void,
    fair?: Fair,
  ) => {
    if (world.left[what] === 0) return;
    const spent = (next: World) => {
      next.left = { ...world.left, [what]: world.left[what] - 1 };
      change(next);
    };
    step(label, spent, fair);
  };

  const spent = Object.entries(setting.budget).some(([what, most]) => world.left[what as Budget] !== most); // reason: its own keys
  const { nodes } = setting;
  for (const [i, machine] of world.machines.entries()) {
    // Nothing tells the nodes apart at first: what begins with B is what begins with A, seen in a mirror.
    if (i === 1 && !spent && nodes[0].node !== nodes[1].node) continue;
    const name = `${'AB'[i]}`;
    const happen = (label: string, event: Event, fair?: Fair) =>
      step(`${name}: ${label}`, (next) => happens(next, i, event, setting), fair);
    if (!machine.on) {
      step(
        `${name} is switched on`,
        (next) => {
          next.machines[i]!.on = true;
          if (setting.without === 'boot confirm') next.machines[i]!.file = { ...machine.file, fresh: true };
        },
        'rise',
      );
      continue;
    }
    spend('off', `${name} loses its power`, (next) => {
      next.machines[i] = { on: false, pool: null, file: { ...machine.file, fresh: false }, used: '' };
      next.net = next.net.filter((one) => one.node !== i || 'ask' in one);
    });
    for (const { key, state } of machine.file.holds) {
      if (!machine.file.fresh || state !== 'held') continue;
      for (const address of setting.addresses[key]!) {
        if (machine.used.includes(address) || !setting.given.includes(address)) continue;
        step(`${name}: ADD gives ${address} of ${key}`, (next) => {
          next.machines[i]!.used = [...machine.used, address].sort().join('');
        });
      }
    }
    for (const address of machine.used) {
      step(
        `${name}: DEL frees ${address}`,
        (next) => {
          next.machines[i]!.used = machine.used.replace(address, '');
        },
        'rest',
      );
    }
    const { pool } = machine;
    if (!pool) {
      step(
        `${name}: the agent starts`,
        (next) => {
          next.machines[i]!.pool = startPool(machine.file.holds, machine.file.fresh);
          happens(next, i, { what: 'tick' }, setting);
        },
        'rise',
      );
      continue;
    }
    spend('crash', `${name}: the agent is killed`, (next) => {
      next.machines[i]!.pool = null;
      next.net = next.net.filter((one) => one.node !== i || 'ask' in one);
    });
    if (!pool.registered) happen('registers', { what: 'tick' }, 'rise');
    else if (!pool.look) {
      spend(
        'look',
        `${name}: looks what etcd has`,
        (next) => happens(next, i, { what: 'tick' }, setting),
        'look',
      );
    }
    if (pool.registered && pool.fresh && pool.tries.length === 0 && !pool.fencing) {
      for (const slot of setting.slots) {
        const [kind, key] = rules.split(slot);
        if (pool.holds.some((one) => one.key === key && one.state !== 'lost')) continue;
        spend('claim', `${name}: wants ${slot}`, (next) => {
          const owner = kind === 'pin' && { owner: 'o', ...(setting.sticky && { sticky: true }) };
          const claim = newName('c', next);
          happens(next, i, { what: 'want', key, claim, ...owner }, setting);
        });
      }
    }
    for (const { claim, looking } of pool.tries) {
      if (looking) happen(`gives up the look for ${claim}`, { what: 'unlooked', claim }, 'look');
      else happen(`has no answer to ${claim}`, { what: 'unanswered', claim }, 'look');
    }
    for (const { claim } of pool.confirming)
      happen(`${claim} is not confirmed`, { what: 'unconfirmed', claim }, 'look');
    for (const claim of pool.returning)
      happen(`has no answer to the return`, { what: 'unreturned', claim }, 'look');
    if (pool.look) {
      step(
        `${name}: has no answer to its look`,
        (next) => {
          next.net = next.net.filter((one) => one.node !== i || !isListing(one));
          happens(next, i, { what: 'unlisted' }, setting);
        },
        'look',
      );
    }
    for (const { key, claim } of pool.holds) {
      const empty = ![...setting.addresses[key]!].some((one) => machine.used.includes(one));
      if (empty && !pool.returning.includes(claim)) happen(`${key} is empty`, { what: 'idle', key }, 'rest');
    }
    if (pool.fencing) happen('the request to drain is gone', { what: 'fence', asked: false }, 'rest');
    else
      spend('drain', `${name}: is asked to drain`, (next) =>
        happens(next, i, { what: 'fence', asked: true }, setting),
      );
  }

  // A person's word that the machine of that name is off.
  for (const [i, { node, uid }] of setting.nodes.entries()) {
    if (world.machines[i]!.on || world.fence || world.etcd.nodes[node] !== uid) continue;
    spend('fence', `somebody fences ${node}, which is off`, (next) => {
      const its = Object.entries(world.etcd.entries).filter(([, one]) => one.node === node);
      next.fence = { node, rest: its.map(([slot, { modified }]) => [slot, modified]) };
    });
  }
  if (world.fence) {
    const { node, rest } = world.fence;
    const [first, ...others] = rest;
    step(
      `the fence deletes ${first?.[0] ?? node}`,
      (next) => {
        if (first) next.etcd = rules.fenceOne(world.etcd, ...first, compares);
        else {
          const { [node]: _, ...nodes } = world.etcd.nodes;
          next.etcd = { ...world.etcd, nodes };
        }
        next.fence = first ? { node, rest: others } : null;
      },
      'rest',
    );
  }

  for (const [at, message] of world.net.entries()) {
    const { node } = message;
    if ('tell' in message) {
      step(
        () => `${'AB'[node]}: hears ${JSON.stringify(message.tell)}`,
        (next) => {
          next.net.splice(at, 1);
          happens(next, node, message.tell, setting);
        },
        'message',
      );
      continue;
    }
    const arrives = (next: World) => {
      const { etcd, tell } = carryOut(next, message.ask, node, setting);
      next.etcd = etcd;
      // Answers go to the process that asked, and it may have been killed.
      if (!isOver(next, node, tell)) send(next, { node, tell });
    };
    const label = () => `etcd: carries out for ${'AB'[node]} ${describe(message.ask)}`;
    step(
      label,
      (next) => {
        next.net.splice(at, 1);
        arrives(next);
      },
      'message',
    );
    spend('again', () => `${label()} (and will once more)`, arrives);
  }
  return all;
}

function isListing(one: Message): boolean {
  return 'ask' in one ? one.ask.do === 'list' : one.tell.what === 'listed';
}

function describe(ask: Request): string {
  if (ask.do === 'claim' || ask.do === 'look') return `${ask.do} ${rules.slotOf(ask.try)} ${ask.try.claim}`;
  if (ask.do === 'giveBack') return `give back ${rules.slotOf(ask.hold)} at ${ask.hold.revision}`;
  return ask.do === 'confirm' ? `confirm ${rules.slotOf(ask.entry)}` : ask.do;
}

/** The agent decides; its file is written at once, its requests go into the net. */
function happens(world: World, i: number, event: Event, setting: Setting): void {
  const machine = world.machines[i]!;
  if (!machine.pool) return;
  const { pool, actions } = decide(machine.pool, event);
  machine.pool = pool;
  for (const action of actions) {
    if (action.do === 'write') {
      const late = setting.without === 'draining in the file before the delete';
      const holds = late ? pool.holds.map((one) => ({ ...one, state: 'held' as const })) : pool.holds;
      machine.file = { holds, fresh: pool.fresh };
    } else if (action.do === 'register') {
      const { etcd, tell } = carryOut(world, action, i, setting);
      world.etcd = etcd;
      happens(world, i, tell, setting);
    } else if (action.do !== 'settle') send(world, { node: i, ask: action });
  }
  world.net = world.net.filter((one) => 'ask' in one || one.node !== i || !isOver(world, i, one.tell));
}

/** The same once more changes nothing that the budget for it does not. */
function send(world: World, message: Message): void {
  const text = textOf(message);
  if (!world.net.some((one) => textOf(one) === text)) world.net.push(message);
}

/** Nobody hears it, or a claim that is settled: it never comes back, so the answer says nothing any more. */
function isOver({ machines }: World, node: number, tell: Event): boolean {
  const { pool } = machines[node]!;
  if (!pool) return true;
  if (tell.what !== 'claimed' && tell.what !== 'taken' && tell.what !== 'looked') return false;
  return !pool.tries.some(({ claim }) => claim === tell.claim);
}

function carryOut(world: World, ask: Request, node: number, setting: Setting): { etcd: Etcd; tell: Event } {
  const { etcd } = world;
  const compares = rulesOf(setting);
  const who = setting.nodes[node]!;
  const now = newName('r', world);
  switch (ask.do) {
    case 'register': {
      const after = rules.register(etcd, who, compares);
      return { etcd: after ?? etcd, tell: { what: after ? 'registered' : 'halted' } };
    }
    case 'list': {
      const used = (key: string) =>
        [...setting.addresses[key]!].some((one) => world.machines[node]!.used.includes(one));
      const entries = rules.entriesOf(etcd, who).map((one) => ({ ...one, inUse: used(one.key) }));
      return { etcd, tell: { what: 'listed', entries } };
    }
    case 'confirm': {
      const { claim } = ask.entry;
      const after = rules.confirm(etcd, ask.entry, who, now, compares);
      if (!after) return { etcd, tell: { what: 'unconfirmed', claim } };
      return { etcd: after.etcd, tell: { what: 'confirmed', claim, revision: after.revision } };
    }
    case 'claim': {
      const { claim } = ask.try;
      const after = rules.claim(etcd, ask.try, who, now, compares);
      if (!after) return { etcd, tell: { what: 'taken', claim } };
      return { etcd: after.etcd, tell: { what: 'claimed', claim, revision: after.revision } };
    }
    case 'look': {
      const { claim } = ask.try;
      const there = etcd.entries[rules.slotOf(ask.try)];
      if (!there) return { etcd, tell: { what: 'looked', claim } };
      const seen = setting.without === 'claim equality' ? claim : there.claim;
      return {
        etcd,
        tell: { what: 'looked', claim, found: { claim: seen, revision: rules.revisionOf(there) } },
      };
    }
    case 'giveBack':
      return {
        etcd: rules.giveBack(etcd, ask.hold, now, compares) ?? etcd,
        tell: { what: 'returned', claim: ask.hold.claim },
      };
  }
}

/** explore.ts names them anew, so that states that differ in nothing else are one. */
function newName(letter: 'r' | 'c', world: World): string {
  world.names++;
  return `${letter}${world.names}`;
}
