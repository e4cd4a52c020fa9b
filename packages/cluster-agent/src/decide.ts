/** What the agent does about one network's blocks: from what it knows and what happened to what it knows then and what is to
 *  be done. Pure, so that the model (model.test.ts) goes through all that can happen.
 *
 *  What it rests on: only the outcome of a compare-and-put of etcd counts. What was read is a hint, but for a key that holds
 *  the own claim, since no other try has that claim. What is given back was marked in the file before, is empty, and is
 *  deleted only if unchanged. */
import {
  type Action,
  type Decision,
  type Event,
  type Hold,
  type Outcome,
  type Pool,
  type Seen,
  type Try,
  whose,
} from './pool.ts';

export function decide(pool: Pool, event: Event): Decision {
  switch (event.what) {
    case 'tick':
      return onTick(pool);
    case 'registered':
      return pool.registered ? same(pool) : onTick({ ...pool, registered: true });
    case 'halted':
      return same({ ...pool, registered: false });
    case 'listed':
      return pool.look === undefined ? same(pool) : onListed(pool, event.entries, pool.look);
    case 'unlisted':
      return same(withoutLook(pool));
    case 'confirmed':
      return onConfirmed(pool, event.claim, event.revision);
    case 'unconfirmed':
      // It may have changed by a confirmation before this one, whose answer did not come. The next look tells.
      return same({ ...pool, confirming: pool.confirming.filter(({ claim }) => claim !== event.claim) });
    case 'want':
      return onWant(pool, event);
    case 'claimed':
      return onClaimed(pool, event.claim, event.revision);
    case 'taken':
      return settle(pool, event.claim, 'taken');
    case 'failed':
    case 'unlooked':
      // Where it is carried out all the same, a later look finds an entry that nobody knows.
      return settle(pool, event.claim, 'failed');
    case 'unanswered':
      return onUnanswered(pool, event.claim);
    case 'looked': {
      const { claim, found } = event;
      return found?.claim === claim
        ? onClaimed(pool, claim, found.revision)
        : settle(pool, claim, found ? 'taken' : 'failed');
    }
    case 'idle':
      return onIdle(pool, event.key);
    case 'returned':
      return onReturned(pool, event.claim);
    case 'unreturned':
      return same({ ...pool, returning: pool.returning.filter((one) => one !== event.claim) });
    case 'fence':
      return onFence(pool, event.asked);
  }
}

function onTick(pool: Pool): Decision {
  if (!pool.registered) return { pool, actions: [{ do: 'register' }] };
  if (pool.look) return same(pool);
  return {
    pool: { ...pool, look: pool.holds.map(({ claim }) => claim) },
    actions: [{ do: 'list' }],
  };
}

/** Entries are hints. What is missing gives no new addresses; what nobody knows is given back, or taken up where containers
 *  have addresses of it (the file was lost): both only if it is still as it was seen. */
function onListed(pool: Pool, entries: readonly Seen[], look: readonly string[]): Decision {
  const seen = new Map(entries.map((entry) => [entry.claim, entry]));
  const confirming = [...pool.confirming];
  const returning = [...pool.returning];
  const actions: Action[] = [];
  const confirm = (entry: Seen) => {
    if (!pool.registered || confirming.some(({ claim }) => claim === entry.claim)) return;
    confirming.push(entry);
    actions.push({ do: 'confirm', entry });
  };

  const lost: string[] = [];
  for (const { claim, state } of pool.holds) {
    const entry = seen.get(claim);
    if (!entry && state !== 'lost' && look.includes(claim)) lost.push(claim);
    if (entry && pool.unsure.includes(claim)) confirm(entry);
  }

  const known = new Set([...pool.holds, ...pool.tries].map(({ claim }) => claim));
  for (const entry of entries) {
    if (known.has(entry.claim) || returning.includes(entry.claim) || !pool.registered) continue;
    // Nothing is in a block while a request to delete it is on its way, however late that arrives.
    if (entry.inUse) confirm(entry);
    else {
      returning.push(entry.claim);
      actions.push({ do: 'giveBack', hold: holdOf(entry) });
    }
  }

  const next = { ...withoutLook(pool), confirming, returning };
  return withFreshness(pool, loseAll(next, lost), actions);
}

function onConfirmed(pool: Pool, claim: string, revision: string): Decision {
  const entry = pool.confirming.find((one) => one.claim === claim);
  if (!entry) return same(pool);
  const known = pool.holds.some((hold) => hold.claim === claim);
  const holds = known
    ? pool.holds.map((hold) => (hold.claim === claim ? { ...hold, revision } : hold))
    : // In place of one that was lost: a restored etcd may have an earlier claim of this node for the same block.
      [
        ...pool.holds.filter(({ key }) => key !== entry.key),
        { ...holdOf(entry), revision, state: pool.fencing ? 'draining' : 'held' } as const,
      ];
  return withFreshness(pool, sure({ ...pool, holds }, claim), []);
}

function onWant(pool: Pool, { key, claim, ...more }: Omit<Try, 'looking'>): Decision {
  const wanted: Try = { key, claim, ...whose(more), looking: false };
  const busy = pool.tries.some((one) => one.key === key);
  const held = pool.holds.some((one) => one.key === key && one.state !== 'lost');
  if (!pool.registered || !pool.fresh || pool.fencing || busy || held) {
    return { pool, actions: [{ do: 'settle', try: wanted, outcome: 'refused' }] };
  }
  return { pool: { ...pool, tries: [...pool.tries, wanted] }, actions: [{ do: 'claim', try: wanted }] };
}

function onClaimed(pool: Pool, claim: string, revision: string): Decision {
  const found = pool.tries.find((one) => one.claim === claim);
  if (!found) return same(pool);
  const { key } = found;
  const hold: Hold = {
    key,
    state: pool.fencing ? 'draining' : 'held',
    revision,
    claim,
    ...whose(found),
  };
  // One that was lost, and is this node's again.
  const holds = [...pool.holds.filter((one) => one.key !== key), hold];
  const { pool: next, actions } = settle({ ...pool, holds }, claim, 'held');
  return { pool: next, actions: [{ do: 'write' }, ...actions] };
}

function onUnanswered(pool: Pool, claim: string): Decision {
  const found = pool.tries.find((one) => one.claim === claim);
  if (!found || found.looking) return same(pool);
  const looking = { ...found, looking: true };
  return {
    pool: { ...pool, tries: pool.tries.map((one) => (one === found ? looking : one)) },
    actions: [{ do: 'look', try: looking }],
  };
}

function settle(pool: Pool, claim: string, outcome: Outcome): Decision {
  const found = pool.tries.find((one) => one.claim === claim);
  if (!found) return same(pool);
  return {
    pool: { ...pool, tries: pool.tries.filter((one) => one !== found) },
    actions: [{ do: 'settle', try: found, outcome }],
  };
}

function onIdle(pool: Pool, key: string): Decision {
  const hold = pool.holds.find((one) => one.key === key);
  if (!hold) return same(pool);
  if (hold.state === 'lost') return written({ ...pool, holds: pool.holds.filter((one) => one !== hold) });
  if (!pool.registered || !pool.fresh || pool.returning.includes(hold.claim)) return same(pool);
  const { state, ...rest } = hold;
  const draining = pool.holds.map((one) => (one === hold ? { ...hold, state: 'draining' as const } : one));
  const giveBack: Action = { do: 'giveBack', hold: rest };
  return {
    pool: { ...pool, holds: draining, returning: [...pool.returning, hold.claim] },
    actions: state === 'draining' ? [giveBack] : [{ do: 'write' }, giveBack],
  };
}

function onReturned(pool: Pool, claim: string): Decision {
  const next = { ...pool, returning: pool.returning.filter((one) => one !== claim) };
  const hold = pool.holds.find((one) => one.claim === claim && one.state === 'draining');
  if (!hold) return same(next);
  return written({ ...next, holds: pool.holds.filter((one) => one !== hold) });
}

function onFence(pool: Pool, asked: boolean): Decision {
  if (asked === pool.fencing) return same(pool);
  const next = { ...pool, fencing: asked };
  if (!asked || !pool.holds.some(({ state }) => state === 'held')) return same(next);
  const holds = pool.holds.map((one) =>
    one.state === 'held' ? { ...one, state: 'draining' as const } : one,
  );
  return written({ ...next, holds });
}

function same(pool: Pool): Decision {
  return { pool, actions: [] };
}

function written(pool: Pool): Decision {
  return { pool, actions: [{ do: 'write' }] };
}

function withoutLook({ look: _, ...pool }: Pool): Pool {
  return pool;
}

function sure(pool: Pool, claim: string): Pool {
  return {
    ...pool,
    unsure: pool.unsure.filter((one) => one !== claim),
    confirming: pool.confirming.filter((one) => one.claim !== claim),
  };
}

function loseAll(pool: Pool, claims: readonly string[]): Pool {
  if (claims.length === 0) return pool;
  const holds = pool.holds.map((hold) =>
    claims.includes(hold.claim) ? { ...hold, state: 'lost' as const } : hold,
  );
  return claims.reduce(sure, { ...pool, holds });
}

/** The file counts once nothing in it is unsure; it is written where it has changed. */
function withFreshness(before: Pool, after: Pool, actions: readonly Action[]): Decision {
  const pool = !after.fresh && after.unsure.length === 0 ? { ...after, fresh: true } : after;
  const changed = pool.holds !== before.holds || pool.fresh !== before.fresh;
  return { pool, actions: changed ? [{ do: 'write' }, ...actions] : actions };
}

function holdOf({ key, claim, revision, ...more }: Seen): Omit<Hold, 'state'> {
  return { key, claim, revision, ...whose(more) };
}
