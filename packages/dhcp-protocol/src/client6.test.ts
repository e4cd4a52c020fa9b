import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answer, Bench6, config, server } from '../test/bench6.ts';
import { parseClient6 } from './client6.ts';
import { fromHex, toHex } from './hex.ts';
import { MessageType6 } from './message6.ts';
import { StatusCode6 } from './options6.ts';

const address = '2001:db8::5';
const other = '00030001020000000088';
const kinds = (sent: readonly { kind: string }[]) => sent.map(({ kind }) => kind);
const timed = (sent: ReturnType<Bench6['run']>) =>
  sent.map(({ after, sent: one }) => [after / 1000, one.kind]);
const status = (name: keyof typeof StatusCode6, message = '') => ({ code: StatusCode6[name], message });

/** With a lease of 100 s (T1 40, T2 80) that has begun to renew it. */
function renewing(): Bench6 {
  const bench = new Bench6();
  bench.bind();
  bench.run(40_000);
  expect(bench.state.phase).toBe('renewing');
  return bench;
}

function requesting(): Bench6 {
  const bench = new Bench6();
  const [solicit] = bench.step({ type: 'start' });
  bench.hear(answer(solicit!.message, 'advertise', { options: { preference: 255 } }));
  expect(bench.state.phase).toBe('requesting');
  return bench;
}

describe('acquiring', () => {
  test('Solicit, Advertise, Request with server and address, Reply', () => {
    const bench = new Bench6();
    bench.bind({ options: { dnsServers: ['2001:db8::53'], domainSearch: ['example.org'] } });
    const [solicit, request] = bench.sent;
    expect(solicit?.message.options).toEqual({
      clientId: fromHex(config.duid),
      ia: [{ iaid: 7, t1: 0, t2: 0, addresses: [] }],
      requestList: [23, 24, 82],
      elapsed: 0,
    });
    expect(request?.kind).toBe('request');
    expect(toHex(request!.message.options.serverId!)).toBe(server);
    expect(request?.message.options.ia?.[0]?.addresses[0]?.address).toBe(address);
    expect(bench.outcome).toMatchObject({
      type: 'bound',
      lease: {
        address,
        serverId: server,
        renewAt: 41_000,
        rebindAt: 81_000,
        expiresAt: 101_000,
        dns: ['2001:db8::53'],
        search: ['example.org'],
      },
    });
    expect(bench.wakeAt).toBe(41_000);
  });

  test('a Solicit is sent again after 1, 2, 4 … s, every 16 at most, with the time that has passed', () => {
    const bench = new Bench6();
    bench.step({ type: 'start' });
    const again = bench.run(60_000);
    expect(again.map(({ after }) => Math.round(after / 1000))).toEqual([1, 3, 7, 16, 32, 48]);
    expect(again[1]?.sent.message.options.elapsed).toBe(Math.floor(again[1]!.after / 10));
    expect(new Set(again.map(({ sent }) => sent.message.xid)).size).toBe(1);
  });

  test('the best of the first second’s advertisements is taken; 255 ends the second', () => {
    const bench = new Bench6();
    const [solicit] = bench.step({ type: 'start' });
    bench.hear(answer(solicit!.message, 'advertise', { options: { preference: 1 } }));
    bench.hear(answer(solicit!.message, 'advertise', { server: other, options: { preference: 9 } }));
    bench.hear(answer(solicit!.message, 'advertise', { options: { preference: 5 } }));
    expect(bench.sent).toHaveLength(1);
    const [request] = bench.run(1100);
    expect(toHex(request!.sent.message.options.serverId!)).toBe(other);
  });

  test('the first advertisement after that is taken at once', () => {
    const bench = new Bench6();
    bench.step({ type: 'start' });
    bench.run(2000);
    expect(kinds(bench.hear(answer(bench.last.message, 'advertise')))).toEqual(['request']);
  });

  test('with rapid commit the Reply to a Solicit is enough; unasked for, it is nothing', () => {
    const rapid = new Bench6({ rapidCommit: true });
    const [solicit] = rapid.step({ type: 'start' });
    expect(solicit?.message.options.rapidCommit).toBe(true);
    rapid.hear(answer(solicit!.message, 'reply'));
    expect(rapid.outcomes).toEqual([]);
    rapid.hear(answer(solicit!.message, 'reply', { options: { rapidCommit: true } }));
    expect(rapid.outcome?.type).toBe('bound');
    const plain = new Bench6();
    const [asked] = plain.step({ type: 'start' });
    plain.hear(answer(asked!.message, 'reply', { options: { rapidCommit: true } }));
    expect(plain.outcomes).toEqual([]);
  });

  test('no address available: the server’s words are told when time is over', () => {
    const bench = new Bench6({ resendTimeout: 10_000 });
    const [solicit] = bench.step({ type: 'start' });
    const iaStatus = status('noAddrsAvail', 'pool is empty');
    bench.hear(answer(solicit!.message, 'advertise', { addresses: [], iaStatus }));
    bench.run(10_000);
    expect(bench.outcome).toEqual({
      type: 'failed',
      error: 'no more tries',
      reason: `DHCPv6 server ${server} advertised no address: NoAddrsAvail (pool is empty)`,
    });
    expect(bench.wakeAt).toBeUndefined();
  });

  test('no server, and no carrier, are told likewise', () => {
    const silent = new Bench6();
    silent.step({ type: 'start' });
    silent.run(208_000);
    expect(silent.outcome).toMatchObject({ type: 'failed', reason: 'no DHCPv6 server answered' });
    const down = new Bench6();
    expect(down.step({ type: 'start', linkUp: false })).toEqual([]);
    down.run(208_000);
    expect(down.outcome).toMatchObject({ reason: 'the link has no carrier' });
  });

  test('a server that advertised and then keeps silent is left after ten Requests', () => {
    const bench = requesting();
    const all = bench.run(200_000);
    expect(all.filter(({ sent }) => sent.kind === 'request')).toHaveLength(9);
    expect(all.find(({ sent }) => sent.kind === 'solicit')).toBeDefined();
  });

  test.each([
    ['of another transaction', (one: ReturnType<typeof answer>) => ({ ...one, xid: one.xid ^ 1 })],
    [
      'to another client',
      (one: ReturnType<typeof answer>) => ({
        ...one,
        options: { ...one.options, clientId: Uint8Array.of(1) },
      }),
    ],
    [
      'that asks to be reconfigured',
      (one: ReturnType<typeof answer>) => ({ ...one, type: MessageType6.reconfigure }),
    ],
  ])('a message %s is ignored', (_, change) => {
    const bench = requesting();
    const reply = answer(bench.last.message, 'reply');
    bench.hear(change(reply));
    expect(bench.outcomes).toEqual([]);
    bench.hear(reply);
    expect(bench.outcome?.type).toBe('bound');
  });

  test('a Reply of another server, of none, and of another association is ignored', () => {
    const bench = requesting();
    const reply = answer(bench.last.message, 'reply');
    const { serverId: _, ...anonymous } = reply.options;
    bench.hear(answer(bench.last.message, 'reply', { server: other }));
    bench.hear({ ...reply, options: anonymous });
    bench.hear({ ...reply, options: { ...reply.options, ia: [{ iaid: 8, t1: 0, t2: 0, addresses: [] }] } });
    expect(bench.outcomes).toEqual([]);
  });

  test.each([
    ['noAddrsAvail', 'solicit'],
    ['notOnLink', 'solicit'],
    ['noBinding', 'solicit'],
    ['unspecFail', undefined],
    ['useMulticast', undefined],
  ] as const)('a Request that is answered with %s: %s', (name, next) => {
    const bench = requesting();
    const sent = bench.hear(answer(bench.last.message, 'reply', { options: { status: status(name) } }));
    expect(kinds(sent)[0]).toBe(next);
    expect(bench.outcomes).toEqual([]);
  });

  test('SOL_MAX_RT of a server is kept, where it is within bounds', () => {
    const bench = new Bench6();
    const [solicit] = bench.step({ type: 'start' });
    for (const solMaxRt of [59, 86_401]) {
      bench.hear(answer(solicit!.message, 'advertise', { addresses: [], options: { solMaxRt } }));
      expect(bench.state.solMaxRt).toBe(3_600_000);
    }
    bench.hear(answer(solicit!.message, 'advertise', { addresses: [], options: { solMaxRt: 60 } }));
    expect(bench.state.solMaxRt).toBe(60_000);
  });

  test('what is provided is sent along', () => {
    const bench = new Bench6({ provide: { 16: '00007ed9' } });
    expect(bench.step({ type: 'start' })[0]?.message.options.vendorClass).toEqual(fromHex('00007ed9'));
  });
});

describe('renewing', () => {
  test('Renew to the server at T1, Rebind to all at T2, the end', () => {
    const bench = new Bench6();
    bench.bind();
    expect(timed(bench.run(99_999))).toEqual([
      [40, 'renew'],
      [50, 'renew'],
      [70, 'renew'],
      [80, 'rebind'],
      [90, 'rebind'],
    ]);
    expect(bench.sent.find(({ kind }) => kind === 'renew')?.message.options.serverId).toEqual(
      fromHex(server),
    );
    expect(bench.last.message.options.serverId).toBeUndefined();
    expect(bench.last.message.options.ia?.[0]?.addresses[0]?.address).toBe(address);
    bench.run(1);
    expect(bench.outcome).toMatchObject({ type: 'expired', previous: { address } });
    expect(bench.last.kind).toBe('solicit');
    expect(bench.last.message.options.ia?.[0]?.addresses[0]?.address).toBe(address);
  });

  test.each([
    ['the same for longer', {}, 'renewed'],
    ['other DNS', { options: { dnsServers: ['2001:db8::54'] } }, 'options'],
    ['another address', { address: { address: '2001:db8::6' } }, 'changed'],
  ])('%s is told', (_, given, outcome) => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'reply', given));
    expect(bench.outcome?.type).toBe(outcome);
    expect(bench.state.phase).toBe('bound');
  });

  test('a second address beside ours changes nothing', () => {
    const bench = renewing();
    const list = ['2001:db8::1', address].map((one) => ({ address: one, preferred: 100, valid: 100 }));
    bench.hear(answer(bench.last.message, 'reply', { addresses: list }));
    expect(bench.outcome).toMatchObject({ type: 'renewed', lease: { address } });
  });

  test('an address with a valid lifetime of 0 is taken back', () => {
    const bench = renewing();
    const next = bench.hear(answer(bench.last.message, 'reply', { address: { preferred: 0, valid: 0 } }));
    expect(bench.outcome?.type).toBe('lost');
    expect(kinds(next)).toEqual(['solicit']);
    expect(next[0]?.message.options.ia?.[0]?.addresses).toEqual([]);
  });

  test('a Reply without our address says nothing about it', () => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'reply', { addresses: [] }));
    expect(bench.state.phase).toBe('renewing');
  });

  test('NoBinding: the address is requested from that server, and in use meanwhile', () => {
    const bench = renewing();
    const [request] = bench.hear(
      answer(bench.last.message, 'reply', { addresses: [], iaStatus: status('noBinding') }),
    );
    expect(request?.kind).toBe('request');
    expect(toHex(request!.message.options.serverId!)).toBe(server);
    expect(bench.state.lease?.address).toBe(address);
    bench.hear(answer(request!.message, 'reply'));
    expect(bench.outcome?.type).toBe('renewed');
  });

  test('NoBinding and then no answer: the lease ends when it does', () => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'reply', { addresses: [], iaStatus: status('noBinding') }));
    bench.run(60_000);
    expect(bench.outcome?.type).toBe('expired');
  });

  test('NotOnLink: the address is lost', () => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'reply', { options: { status: status('notOnLink') } }));
    expect(bench.outcome?.type).toBe('lost');
  });

  test('at rebinding any server may answer', () => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'reply', { server: other }));
    expect(bench.state.phase).toBe('renewing');
    bench.run(40_000);
    bench.hear(answer(bench.last.message, 'reply', { server: other }));
    expect(bench.outcome).toMatchObject({ type: 'renewed', lease: { serverId: other } });
  });

  test('for ever is never renewed', () => {
    const bench = new Bench6();
    const ever = 0xffffffff;
    bench.bind({ address: { preferred: ever, valid: ever }, times: [ever, ever] });
    expect(bench.wakeAt).toBeUndefined();
  });

  test('a process that slept past T2 rebinds, past the end says so first (dhcp trap 26)', () => {
    for (const [slept, kind, outcome] of [
      [85_000, 'rebind', 'bound'],
      [200_000, 'solicit', 'expired'],
    ] as const) {
      const bench = new Bench6();
      bench.bind();
      bench.pass(slept);
      expect(kinds(bench.step({ type: 'timer' }))).toEqual([kind]);
      expect(bench.outcome?.type).toBe(outcome);
    }
  });
});

describe('a daemon that is started again', () => {
  test('goes on without a message before T1, asks after it, and tells of the end', () => {
    const bench = new Bench6();
    bench.bind();
    bench.pass(30_000);
    expect(bench.step({ type: 'resumed' })).toEqual([]);
    expect(bench.outcome).toMatchObject({ type: 'resumed', lease: { address } });
    bench.pass(20_000);
    expect(kinds(bench.step({ type: 'resumed' }))).toEqual(['renew']);
    bench.pass(60_000);
    bench.step({ type: 'resumed' });
    expect(bench.outcome?.type).toBe('expired');
  });

  test('in another boot counts by the calendar and confirms the address', () => {
    const bench = new Bench6();
    bench.bind();
    bench.boot = 'two';
    bench.now = 500;
    bench.wall += 30_000;
    expect(kinds(bench.step({ type: 'resumed' }))).toEqual(['confirm']);
    expect(bench.state.lease?.expiresAt).toBe(70_500);
  });

  test('takes no state that is damaged', () => {
    const bench = new Bench6();
    bench.bind();
    const good = JSON.parse(JSON.stringify(bench.state));
    expect(parseClient6(good)).toEqual(bench.state);
    for (const change of [
      { version: 2 },
      { lease: { ...good.lease, address: 'x' } },
      { phase: '' },
      { config: 1 },
    ]) {
      expect(parseClient6({ ...good, ...change })).toBeUndefined();
    }
  });
});

describe('a link that goes down and comes back', () => {
  function confirming(): Bench6 {
    const bench = new Bench6();
    bench.bind();
    bench.step({ type: 'linkDown' });
    expect(kinds(bench.step({ type: 'linkUp' }))).toEqual(['confirm']);
    expect(bench.last.message.options.serverId).toBeUndefined();
    return bench;
  }

  test('is good where a server says so, or nobody answers', () => {
    const good = confirming();
    good.hear(answer(good.last.message, 'reply', { options: { status: status('success') } }));
    expect(good.state).toMatchObject({ phase: 'bound', lease: { address } });
    const silent = confirming();
    expect(silent.run(20_000).length).toBeLessThan(6);
    expect(silent.state).toMatchObject({ phase: 'bound', lease: { address } });
  });

  test('is another where a server says so', () => {
    const bench = confirming();
    bench.hear(answer(bench.last.message, 'reply', { options: { status: status('notOnLink') } }));
    expect(bench.outcome?.type).toBe('lost');
  });
});

describe('giving back', () => {
  test('Release until the server answers', () => {
    const bench = new Bench6();
    bench.bind();
    const [release] = bench.step({ type: 'release' });
    expect(release?.kind).toBe('release');
    expect(toHex(release!.message.options.serverId!)).toBe(server);
    expect(release?.message.options.ia?.[0]?.addresses[0]?.address).toBe(address);
    expect(bench.outcome?.type).toBe('bound');
    bench.hear(answer(release!.message, 'reply', { addresses: [], options: { status: status('success') } }));
    expect(bench.outcome).toMatchObject({ type: 'released', previous: { address } });
    expect(bench.wakeAt).toBeUndefined();
  });

  test('four times at most', () => {
    const bench = new Bench6();
    bench.bind();
    bench.step({ type: 'release' });
    expect(bench.run(60_000)).toHaveLength(3);
    expect(bench.outcome?.type).toBe('released');
    expect(bench.step({ type: 'release' })).toEqual([]);
  });

  test('nothing, what ran out, and on a link that is down, is done at once', () => {
    const nothing = new Bench6();
    nothing.step({ type: 'start' });
    expect(nothing.step({ type: 'release' })).toEqual([]);
    const over = new Bench6();
    over.bind();
    over.pass(100_000);
    expect(over.step({ type: 'release' })).toEqual([]);
    const down = new Bench6();
    down.bind();
    down.step({ type: 'linkDown' });
    expect(down.step({ type: 'release' })).toEqual([]);
    for (const bench of [nothing, over, down]) expect(bench.outcome?.type).toBe('released');
  });

  test('what was requested and may have been given', () => {
    expect(kinds(requesting().step({ type: 'release' }))).toEqual(['release']);
  });
});

test('an address that another host uses is declined, and another one asked for', () => {
  const bench = new Bench6();
  bench.bind();
  const [decline] = bench.step({ type: 'decline' });
  expect(decline?.kind).toBe('decline');
  expect(decline?.message.options.ia?.[0]?.addresses[0]?.address).toBe(address);
  expect(bench.outcome).toMatchObject({ type: 'lost', reason: `another host uses ${address}` });
  const [solicit] = bench.hear(answer(decline!.message, 'reply', { addresses: [] }));
  expect(solicit?.message.options.ia?.[0]?.addresses).toEqual([]);
});

describe('options without an address', () => {
  test('are asked for by Information-request, and again when the server says', () => {
    const bench = new Bench6({ informationOnly: true });
    const [request] = bench.step({ type: 'start' });
    expect(request?.kind).toBe('information-request');
    expect(request?.message.options).toEqual({
      clientId: fromHex(config.duid),
      elapsed: 0,
      requestList: [23, 24, 32, 83],
    });
    bench.hear(
      answer(request!.message, 'reply', { options: { dnsServers: ['2001:db8::53'], informationRefresh: 1 } }),
    );
    expect(bench.outcome).toEqual({ type: 'information', dns: ['2001:db8::53'], search: [], ntp: [] });
    expect(timed(bench.run(600_000))).toEqual([[600, 'information-request']]);
  });

  test('that nobody sends are told to be missing', () => {
    const bench = new Bench6({ informationOnly: true });
    bench.step({ type: 'start' });
    bench.run(208_000);
    expect(bench.outcome?.type).toBe('failed');
  });
});

test('whatever servers say and whenever, no address is used past its end or changes without an outcome', () => {
  const says = fc.record({
    wait: fc.integer({ min: 0, max: 60_000 }),
    event: fc.constantFrom(
      'reply',
      'advertise',
      'timer',
      'renew',
      'linkDown',
      'linkUp',
      'resumed',
      'decline',
      'start',
    ),
    suffix: fc.integer({ min: 1, max: 3 }),
    valid: fc.constantFrom(0, 10, 100, 300),
    code: fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 4, 5),
    from: fc.constantFrom(server, server, other),
  });
  fc.assert(
    fc.property(fc.array(says, { minLength: 20, maxLength: 60 }), (story) => {
      const bench = new Bench6({ rapidCommit: true });
      let inUse: string | undefined;
      let told = 0;
      const look = () => {
        for (const outcome of bench.outcomes.slice(told)) {
          if ('previous' in outcome && outcome.previous) expect(outcome.previous.address).toBe(inUse);
          if (outcome.type === 'bound' || outcome.type === 'changed') inUse = outcome.lease.address;
          else if ('lease' in outcome) expect(outcome.lease.address).toBe(inUse);
          else inUse = undefined;
        }
        told = bench.outcomes.length;
        expect(bench.state.lease?.address).toBe(inUse);
        if (bench.state.lease) expect(bench.state.lease.expiresAt).toBeGreaterThan(bench.now);
      };
      bench.step({ type: 'start' });
      for (const { wait, event, suffix, valid, code, from } of story) {
        // All that is due on the way, or a process that sleeps.
        if (suffix === 3) bench.pass(wait);
        else bench.run(wait);
        if (event === 'reply' || event === 'advertise') {
          const given = {
            server: from,
            address: { address: `2001:db8::${suffix}`, preferred: valid, valid },
            times: [0, 0] as const,
            iaStatus: { code, message: '' },
            options: { rapidCommit: true as const },
          };
          bench.hear(answer(bench.last.message, event, given));
        } else bench.step({ type: event });
        look();
      }
    }),
    { numRuns: 200 },
  );
});

test('whenever an answer comes, to whatever it is one, no address is used past the end that its server knows of', () => {
  const says = fc.record({
    wait: fc.integer({ min: 0, max: 40_000 }),
    sleeps: fc.boolean(),
    event: fc.constantFrom('answer', 'answer', 'answer', 'late', 'renew', 'linkDown', 'linkUp', 'resumed'),
    valid: fc.constantFrom(20, 100, 300),
  });
  fc.assert(
    fc.property(fc.array(says, { minLength: 20, maxLength: 60 }), fc.nat(), (story, seed) => {
      let chance = seed;
      const bench = new Bench6({ rapidCommit: true }, () => {
        chance = (chance * 48271 + 11) % 0x7fffffff;
        return chance / 0x7fffffff;
      });
      let disk = bench.state;
      let ends = 0;
      let told = 0;
      /** What servers have said; it waits on the wire, or where a process that sleeps has not read it yet. */
      const said: { reply: ReturnType<typeof answer>; until: number }[] = [];
      const look = () => {
        if (bench.outcomes.length > told) disk = bench.state;
        told = bench.outcomes.length;
        if (bench.state.lease) expect(ends).toBeGreaterThan(bench.now);
      };
      bench.step({ type: 'start' });
      for (const { wait, sleeps, event, valid } of story) {
        if (sleeps) bench.pass(wait);
        else bench.run(wait);
        if (event === 'answer' || event === 'late') {
          const type = bench.state.phase === 'soliciting' && valid === 20 ? 'advertise' : 'reply';
          const given = { address: { preferred: valid, valid }, times: [0, 0] as const };
          const reply = answer(bench.last.message, type, { ...given, options: { rapidCommit: true } });
          said.push({ reply, until: bench.now + valid * 1000 });
        }
        if (event === 'answer') {
          const { reply, until } = said.shift()!;
          bench.hear(reply);
          if (bench.outcomes.slice(told).some((one) => 'lease' in one)) ends = until;
        } else if (event === 'resumed') {
          bench.state = disk;
          bench.step({ type: 'resumed' });
        } else bench.step({ type: event === 'late' ? 'timer' : event });
        look();
      }
    }),
    { numRuns: 300 },
  );
});
