import { describe, expect, test } from 'vitest';
import { answer, Bench4, codesOf, config, option, type Values } from '../test/bench4.ts';
import { parseClient4 } from './client4.ts';
import { toHex } from './hex.ts';
import { encodeMessage4 } from './message4.ts';

const server: Values = { serverId: '192.168.7.1', subnetMask: '255.255.255.0', leaseTime: 80 };
const address = '192.168.7.50';
const kinds = (sent: readonly { kind: string }[]) => sent.map(({ kind }) => kind);
const seconds = (sent: readonly { after: number }[]) => sent.map(({ after }) => after / 1000);

/** A bench that waits for the answer to its REQUEST. */
function requesting(changes = {}, values: Values = server): Bench4 {
  const bench = new Bench4(changes);
  const [discover] = bench.step({ type: 'start' });
  bench.hear(answer(discover!.message, 'offer', address, values));
  return bench;
}

/** One with a lease of 80 s (T1 40, T2 70) that has begun to renew it. */
function renewing(): Bench4 {
  const bench = new Bench4();
  bench.bind(address);
  bench.run(40_000);
  expect(bench.state.phase).toBe('renewing');
  return bench;
}

function rebinding(): Bench4 {
  const bench = renewing();
  bench.run(30_000);
  expect(bench.state.phase).toBe('rebinding');
  return bench;
}

describe('acquiring', () => {
  test('DISCOVER, OFFER, REQUEST with the offer’s transaction, address and server, ACK (dhcp 2)', () => {
    const bench = new Bench4();
    const ack = bench.bind();
    const [discover, request] = bench.sent;
    expect([discover?.source, discover?.destination]).toEqual(['0.0.0.0', '255.255.255.255']);
    expect(codesOf(discover!)).toEqual([53, 55, 57, 61]);
    expect(toHex(encodeMessage4(discover!.message)).slice(480)).toMatch(
      /^35010137020301390205dc3d0e0063312f6d796e65742f65746830ff(00)+$/,
    );
    expect(codesOf(request!)).toEqual([50, 53, 54, 55, 57, 61]);
    expect(request?.message.xid).toBe(discover?.message.xid);
    expect([option(request!, 'requestedAddress'), option(request!, 'serverId')]).toEqual([
      address,
      '192.168.7.1',
    ]);
    expect(bench.outcome).toMatchObject({
      type: 'bound',
      lease: { address, serverId: '192.168.7.1', since: 1000 },
    });
    expect(ack.xid).toBe(discover?.message.xid);
    expect(bench.wakeAt).toBe(41_000);
  });

  test('an empty request list is not sent', () => {
    const bench = new Bench4({ request: [] });
    expect(codesOf(bench.step({ type: 'start' })[0]!)).toEqual([53, 57, 61]);
  });

  test('provided options replace the client’s own, but for the request list and the message’s type', () => {
    const bench = new Bench4({
      provide: { 12: '6331', 55: '06', 53: '07', 61: '6964', 0: '01', 255: '01', 300: '01', x: '01' },
    });
    const [discover] = bench.step({ type: 'start' });
    expect(codesOf(discover!)).toEqual([12, 53, 55, 57, 61]);
    expect(option(discover!, 'hostName')).toBe('c1');
    expect(option(discover!, 'messageType')).toBe(1);
    expect(option(discover!, 'requestList')).toEqual(Uint8Array.of(3, 1));
    expect(toHex(option(discover!, 'clientId')!)).toBe('6964');
  });

  test('is sent again after 4, 8, 16 s, and then every 16 (RFC 2131, section 4.1)', () => {
    const bench = new Bench4();
    bench.step({ type: 'start' });
    const again = bench.run(80_000);
    expect(seconds(again)).toEqual([4, 12, 28, 44, 60, 76]);
    expect(new Set(again.map(({ sent }) => sent.message.xid)).size).toBe(1);
    expect(again.map(({ sent }) => sent.message.secs)).toEqual([4, 12, 28, 44, 60, 76]);
  });

  test.each([
    [0, 3],
    [1, 5],
  ])('give or take a second: chance %i waits %i s', (chance, wait) => {
    const bench = new Bench4({}, () => chance);
    bench.step({ type: 'start' });
    expect(seconds(bench.run(5000))).toContain(wait);
  });

  test('a first answer after 50 s of silence is taken at once (dhcp trap 5)', () => {
    const bench = new Bench4();
    bench.step({ type: 'start' });
    const [next] = bench.run(60_000).filter(({ after }) => after > 50_000);
    bench.hear(answer(next!.sent.message, 'offer', address, server));
    bench.hear(answer(bench.last.message, 'ack', address, server));
    expect(bench.outcome?.type).toBe('bound');
    expect(bench.now).toBeLessThan(70_000);
  });

  test('ends with "no more tries" when its time is over (dhcp 6)', () => {
    const bench = new Bench4({ timeout: 2000, resendMax: 8000, resendTimeout: 10_000 });
    bench.step({ type: 'start' });
    expect(seconds(bench.run(60_000))).toEqual([2, 6]);
    expect(bench.outcomes).toEqual([
      { type: 'failed', error: 'no more tries', reason: 'no DHCP server answered' },
    ]);
    expect(bench.wakeAt).toBeUndefined();
    expect(bench.state.phase).toBe('stopped');
  });

  test('takes 208 s at most by default', () => {
    const bench = new Bench4();
    bench.step({ type: 'start' });
    bench.run(207_999);
    expect(bench.outcomes).toEqual([]);
    bench.run(1);
    expect(bench.outcome?.type).toBe('failed');
  });

  test('no carrier: nothing is sent before there is one, and then at once (dhcp trap 23)', () => {
    const bench = new Bench4();
    expect(bench.step({ type: 'start', linkUp: false })).toEqual([]);
    expect(bench.run(300)).toEqual([]);
    expect(kinds(bench.step({ type: 'linkUp' }))).toEqual(['discover']);
    expect(bench.run(4000)).toHaveLength(1);
  });

  test('no carrier for all the time there was is what failed', () => {
    const bench = new Bench4();
    bench.step({ type: 'start', linkUp: false });
    bench.run(208_000);
    expect(bench.outcome).toMatchObject({ type: 'failed', reason: 'the link has no carrier' });
  });

  test('the broadcast flag is that of the offer, or as it is configured (dhcp 19)', () => {
    const bench = new Bench4();
    const [discover] = bench.step({ type: 'start' });
    expect(discover?.message.flags).toBe(0);
    const offer = answer(discover!.message, 'offer', address, server);
    expect(bench.hear({ ...offer, flags: 0x8000 })[0]?.message.flags).toBe(0x8000);
    const other = requesting({ broadcast: true });
    expect(other.sent.map(({ message }) => message.flags)).toEqual([0x8000, 0x8000]);
  });

  test('an InfiniBand address has no room in the message, so answers come by broadcast (RFC 4390)', () => {
    const bench = new Bench4({ mac: `80:00:00:48:fe:80${':00'.repeat(14)}` });
    const [discover] = bench.step({ type: 'start' });
    expect(discover?.message).toMatchObject({ htype: 32, chaddr: new Uint8Array(0), flags: 0x8000 });
  });

  test('a second start changes nothing', () => {
    const bench = requesting();
    expect(bench.step({ type: 'start' })).toEqual([]);
    expect(bench.state.phase).toBe('requesting');
  });
});

describe('offers', () => {
  test('of several servers the first wins', () => {
    const bench = new Bench4();
    const [discover] = bench.step({ type: 'start' });
    bench.hear(answer(discover!.message, 'offer', address, server));
    expect(bench.hear(answer(discover!.message, 'offer', '10.0.0.9', { serverId: '10.0.0.1' }))).toEqual([]);
    expect(option(bench.last, 'requestedAddress')).toBe(address);
  });

  test.each([
    ['of another transaction', { xid: 77 }],
    ['to another client', { chaddr: new Uint8Array(6) }],
    ['to a client with a longer address', { chaddr: new Uint8Array(16) }],
    ['that is a question', { op: 1 }],
    ['without an address', { yiaddr: '0.0.0.0' }],
  ])('%s is ignored', (_, change) => {
    const bench = new Bench4();
    const [discover] = bench.step({ type: 'start' });
    const offer = answer(discover!.message, 'offer', address, server);
    expect(bench.hear({ ...offer, ...change })).toEqual([]);
    expect(kinds(bench.hear(offer))).toEqual(['request']);
  });

  test('whose server keeps silent then are forgotten after three REQUESTs', () => {
    const bench = requesting();
    const after = bench.run(29_000);
    expect(seconds(after)).toEqual([4, 12, 28]);
    expect(kinds(after.map(({ sent }) => sent))).toEqual(['request', 'request', 'discover']);
    expect(bench.last.message.xid).toBeDefined();
    bench.run(208_000);
    expect(bench.outcome).toMatchObject({
      reason: `server 192.168.7.1 offered ${address} and did not answer the REQUEST for it`,
    });
  });
});

describe('an ACK', () => {
  test('of another server is ignored, and of another transaction (dhcp 18)', () => {
    const bench = requesting();
    const ack = answer(bench.last.message, 'ack', address, server);
    bench.hear(answer(bench.last.message, 'ack', address, { ...server, serverId: '192.168.7.2' }));
    bench.hear({ ...ack, xid: ack.xid ^ 1 });
    expect(bench.outcomes).toEqual([]);
    bench.hear(ack);
    expect(bench.outcome?.type).toBe('bound');
  });

  test('without a server id is taken, as is an offer without one (dhcp 18)', () => {
    const { serverId: _, ...anonymous } = server;
    const bench = requesting({}, anonymous);
    expect(codesOf(bench.last)).not.toContain(54);
    bench.hear(answer(bench.last.message, 'ack', address, anonymous));
    expect(bench.outcome).toMatchObject({ type: 'bound', lease: { address } });
    expect(bench.state.lease?.serverId).toBeUndefined();
    const other = requesting();
    other.hear(answer(other.last.message, 'ack', address, anonymous));
    expect(other.state.lease?.serverId).toBe('192.168.7.1');
  });

  test('counts with its own address, whatever was offered', () => {
    const bench = requesting();
    bench.hear(answer(bench.last.message, 'ack', '192.168.7.51', server));
    expect(bench.state.lease?.address).toBe('192.168.7.51');
  });

  test('counts from when the REQUEST was sent that it may be the answer to', () => {
    const bench = requesting();
    bench.pass(3000);
    bench.hear(answer(bench.last.message, 'ack', address, server));
    expect(bench.state.lease).toMatchObject({ since: 1000, expiresAt: 81_000 });
    const late = requesting();
    late.run(12_000);
    late.pass(1000);
    late.hear(answer(late.last.message, 'ack', address, server));
    expect(late.state.lease?.since).toBe(13_000);
  });

  test('of a lease that is over as it comes is none', () => {
    const bench = requesting();
    bench.pass(2000);
    bench.hear(answer(bench.last.message, 'ack', address, { ...server, leaseTime: 2 }));
    expect(bench.outcomes).toEqual([]);
  });

  test('for ever is never renewed (infinite lease)', () => {
    const bench = new Bench4();
    bench.bind(address, { leaseTime: 0xffffffff });
    expect(bench.wakeAt).toBeUndefined();
    expect(bench.step({ type: 'timer' })).toEqual([]);
  });

  test('for ever that is renewed by hand is not asked for all the time', () => {
    const bench = new Bench4();
    bench.bind(address, { leaseTime: 0xffffffff });
    bench.step({ type: 'renew' });
    expect(bench.run(3_600_000).length).toBeLessThan(12);
    expect(bench.state.lease?.address).toBe(address);
  });
});

describe('a NAK', () => {
  test('of the chosen server: after a moment a new DISCOVER (dhcp 18)', () => {
    const bench = requesting();
    const before = bench.last.message;
    bench.hear(answer(before, 'nak', '0.0.0.0', { serverId: '192.168.7.1', message: 'busy' }));
    expect(bench.state.phase).toBe('pausing');
    const [next] = bench.wake();
    expect(next?.kind).toBe('discover');
    expect(next?.message.xid).toBeDefined();
    bench.run(208_000);
    expect(bench.outcome).toMatchObject({
      type: 'failed',
      reason: 'server 192.168.7.1 rejected request with Nak (msg: busy)',
    });
  });

  test('of another server does not count (dhcp trap 9)', () => {
    const bench = requesting();
    bench.hear(answer(bench.last.message, 'nak', '0.0.0.0', { serverId: '192.168.7.2' }));
    bench.hear(answer(bench.last.message, 'nak', '0.0.0.0'));
    expect(bench.state.phase).toBe('requesting');
    bench.hear(answer(bench.last.message, 'ack', address, server));
    expect(bench.outcome?.type).toBe('bound');
  });

  test('every time does not make a storm, and ends', () => {
    const bench = new Bench4();
    bench.step({ type: 'start' });
    for (let i = 0; i < 1000 && bench.wakeAt !== undefined; i++) {
      const { kind, message } = bench.last;
      if (kind === 'discover') bench.hear(answer(message, 'offer', address, server));
      bench.hear(answer(bench.last.message, 'nak', '0.0.0.0', { serverId: '192.168.7.1' }));
      bench.wake();
    }
    expect(bench.outcome?.type).toBe('failed');
    expect(bench.sent.length).toBeLessThan(50);
  });

  test('at renewal: the address is lost at once, and a new one asked for (dhcp 22, trap 10)', () => {
    const bench = renewing();
    const [next] = bench.hear(answer(bench.last.message, 'nak', '0.0.0.0', { serverId: '192.168.7.1' }));
    expect(bench.outcome).toMatchObject({ type: 'lost', previous: { address } });
    expect(bench.state.lease).toBeUndefined();
    expect(next?.kind).toBe('discover');
    expect(codesOf(next!)).not.toContain(50);
    bench.hear(answer(next!.message, 'offer', '192.168.7.60', server));
    bench.hear(answer(bench.last.message, 'ack', '192.168.7.60', server));
    expect(bench.outcome).toMatchObject({ type: 'bound', lease: { address: '192.168.7.60' } });
  });

  test('at rebinding of a server that is not ours counts only if nobody says yes (dhcp trap 9)', () => {
    const foreign: Values = { serverId: '192.168.7.2' };
    const kept = rebinding();
    kept.hear(answer(kept.last.message, 'nak', '0.0.0.0', foreign));
    kept.pass(500);
    kept.hear(answer(kept.last.message, 'ack', address, server));
    expect(kept.outcome?.type).toBe('renewed');
    const refused = rebinding();
    refused.hear(answer(refused.last.message, 'nak', '0.0.0.0', foreign));
    expect(refused.outcomes).toHaveLength(1);
    refused.run(1000);
    expect(refused.outcome?.type).toBe('lost');
  });

  test('while a lease is at rest means nothing', () => {
    const bench = new Bench4();
    const ack = bench.bind();
    bench.hear(answer(ack, 'nak', '0.0.0.0', { serverId: '192.168.7.1' }));
    expect(bench.outcomes).toHaveLength(1);
    expect(bench.state.phase).toBe('bound');
  });
});

describe('renewing', () => {
  test('at T1 by unicast from the address, ciaddr set, neither 50 nor 54, same transaction (dhcp 20)', () => {
    const bench = new Bench4();
    const ack = bench.bind(address, { leaseTime: 8 });
    expect(seconds(bench.run(4000))).toEqual([4]);
    const { kind, source, destination, message } = bench.last;
    expect([kind, source, destination]).toEqual(['renew', address, '192.168.7.1']);
    expect(message).toMatchObject({ ciaddr: address, flags: 0, xid: ack.xid, secs: 0 });
    expect(codesOf(bench.last)).toEqual([53, 55, 57, 61]);
    bench.hear(answer(message, 'ack', address, { ...server, leaseTime: 8 }));
    expect(bench.outcome?.type).toBe('renewed');
    expect(seconds(bench.run(4000))).toEqual([4]);
    expect(bench.last.message.xid).toBe(ack.xid);
  });

  test('of a lease whose server did not tell who it is goes to all', () => {
    const { serverId: _, ...anonymous } = server;
    const bench = requesting({}, anonymous);
    bench.hear(answer(bench.last.message, 'ack', address, anonymous));
    bench.run(40_000);
    expect(bench.last).toMatchObject({ kind: 'renew', destination: '255.255.255.255' });
  });

  test('is asked for again, at T2 of any server by broadcast without server id, until the end (dhcp trap 11)', () => {
    const bench = new Bench4();
    bench.bind();
    const all = bench.run(79_999);
    expect(all.map(({ after, sent }) => [after / 1000, sent.kind])).toEqual([
      [40, 'renew'],
      [44, 'renew'],
      [52, 'renew'],
      [61, 'renew'],
      [65.5, 'renew'],
      [69.5, 'renew'],
      [70, 'rebind'],
      [74, 'rebind'],
      [78, 'rebind'],
    ]);
    expect([bench.last.source, bench.last.destination]).toEqual([address, '255.255.255.255']);
    expect(codesOf(bench.last)).toEqual([53, 55, 57, 61]);
    bench.hear(answer(bench.last.message, 'ack', address, { ...server, serverId: '192.168.7.2' }));
    expect(bench.outcome).toMatchObject({ type: 'renewed', lease: { serverId: '192.168.7.2' } });
  });

  test('another address at rebinding is told (dhcp trap 10)', () => {
    const bench = rebinding();
    bench.hear(answer(bench.last.message, 'ack', '192.168.7.77', server));
    expect(bench.outcome).toMatchObject({
      type: 'changed',
      lease: { address: '192.168.7.77' },
      previous: { address },
    });
  });

  test('so is another mask', () => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'ack', address, { ...server, subnetMask: '255.255.0.0' }));
    expect(bench.outcome?.type).toBe('changed');
  });

  test('so are other options', () => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'ack', address, { ...server, routers: ['192.168.7.9'] }));
    expect(bench.outcome).toMatchObject({ type: 'options', lease: { address }, previous: { address } });
  });

  test('an ACK of a server that was not asked is ignored', () => {
    const bench = renewing();
    bench.hear(answer(bench.last.message, 'ack', address, { ...server, serverId: '192.168.7.2' }));
    expect(bench.state.phase).toBe('renewing');
  });

  test('an ACK that waited while the process slept is counted from the REQUEST before (dhcp trap 26)', () => {
    const bench = renewing();
    const { message } = bench.last;
    bench.pass(20_000);
    expect(kinds(bench.step({ type: 'timer' }))).toEqual(['renew']);
    bench.hear(answer(message, 'ack', address, server));
    expect(bench.state.lease?.since).toBe(41_000);
  });

  test('that is sent again much later has a transaction of its own: the answer to the first is not taken for one to it', () => {
    let chance = 0;
    const bench = new Bench4({}, () => {
      chance += 0.01;
      return chance % 1;
    });
    bench.bind(address, { ...server, leaseTime: 3600 });
    const [first] = bench.step({ type: 'renew' });
    const sent = bench.run(60_000).filter(({ after }) => after > 10_000);
    expect(sent.map(({ sent: { kind } }) => kind)).toContain('renew');
    expect(bench.last.message.xid).not.toBe(first?.message.xid);
    bench.hear(answer(first!.message, 'ack', address, server));
    expect(bench.state.phase).toBe('renewing');
    bench.hear(answer(bench.last.message, 'ack', address, server));
    expect(bench.state.lease?.since).toBeGreaterThan(20_000);
  });

  test('of a daemon that was just started again is not answered by what the one before had asked', () => {
    let chance = 0;
    const bench = new Bench4({}, () => {
      chance += 0.01;
      return chance % 1;
    });
    bench.bind(address, server);
    const stored = bench.state;
    bench.run(40_000);
    const before = bench.last;
    bench.state = stored;
    bench.pass(3000);
    expect(kinds(bench.step({ type: 'resumed' }))).toEqual(['renew']);
    bench.hear(answer(before.message, 'ack', address, server));
    expect(bench.state.phase).toBe('renewing');
  });

  test('soon after the ACK before has a transaction of its own, which a second copy of that ACK is not of', () => {
    let chance = 0;
    const bench = new Bench4({}, () => {
      chance += 0.01;
      return chance % 1;
    });
    const ack = bench.bind();
    bench.pass(2000);
    const [renew] = bench.step({ type: 'renew' });
    expect(renew?.message.xid).not.toBe(ack.xid);
    bench.hear(ack);
    expect(bench.state.phase).toBe('renewing');
  });

  test('can be told to happen now', () => {
    const bench = new Bench4();
    bench.bind();
    expect(kinds(bench.step({ type: 'renew' }))).toEqual(['renew']);
    expect(bench.step({ type: 'renew' })).toEqual([]);
  });
});

describe('the end of a lease', () => {
  test('is told, and all begins anew with a wish for the same address (dhcp 23)', () => {
    const bench = new Bench4();
    bench.bind();
    bench.run(80_000);
    expect(bench.outcome).toMatchObject({ type: 'expired', previous: { address } });
    expect(bench.state.lease).toBeUndefined();
    expect(bench.last.kind).toBe('discover');
    expect(option(bench.last, 'requestedAddress')).toBe(address);
    bench.run(208_000);
    expect(bench.outcome?.type).toBe('failed');
    expect(bench.wakeAt).toBeUndefined();
  });

  test('comes before an ACK that was read too late (dhcp trap 26)', () => {
    const bench = rebinding();
    const ack = answer(bench.last.message, 'ack', address, server);
    bench.pass(10_000);
    bench.hear(ack);
    expect(bench.outcome?.type).toBe('expired');
  });
});

describe('a process that slept (dhcp trap 26)', () => {
  test.each([
    ['past T1 renews', 45_000, 'renew', 'bound'],
    ['past T2 rebinds at once, without a renewal before', 75_000, 'rebind', 'bound'],
    ['past the end says so before anything else', 300_000, 'discover', 'expired'],
  ])('%s', (_, slept, kind, outcome) => {
    const bench = new Bench4();
    bench.bind();
    bench.pass(slept);
    expect(kinds(bench.step({ type: 'timer' }))).toEqual([kind]);
    expect(bench.outcome?.type).toBe(outcome);
  });
});

describe('a daemon that is started again', () => {
  test('goes on without a packet before T1', () => {
    const bench = new Bench4();
    bench.bind();
    bench.pass(39_000);
    expect(bench.step({ type: 'resumed' })).toEqual([]);
    expect(bench.outcome).toMatchObject({ type: 'resumed', lease: { address } });
    expect(bench.wakeAt).toBe(41_000);
  });

  test.each([
    ['T1', 50_000, ['renew']],
    ['T2', 71_000, ['rebind']],
  ])('asks at once after %s', (_, slept, expected) => {
    const bench = renewing();
    bench.now = 1000 + slept;
    expect(kinds(bench.step({ type: 'resumed' }))).toEqual(expected);
    expect(bench.outcome?.type).toBe('resumed');
  });

  test('after the end says so', () => {
    const bench = new Bench4();
    bench.bind();
    bench.pass(80_000);
    bench.step({ type: 'resumed' });
    expect(bench.outcome?.type).toBe('expired');
  });

  test('does not care who set the calendar meanwhile', () => {
    for (const wall of [0, 9e15]) {
      const bench = new Bench4();
      bench.bind();
      bench.now += 10_000;
      bench.wall = wall;
      expect(bench.step({ type: 'resumed' })).toEqual([]);
      expect(bench.wakeAt).toBe(41_000);
    }
  });

  test('in another boot counts by the calendar, and asks whether the address is still good', () => {
    const bench = new Bench4();
    bench.bind();
    bench.boot = 'two';
    bench.now = 500;
    bench.wall += 30_000;
    expect(kinds(bench.step({ type: 'resumed' }))).toEqual(['reboot']);
    expect(bench.state.lease?.expiresAt).toBe(500 + 50_000);
    const other = new Bench4();
    other.bind();
    other.boot = 'two';
    other.now = 500;
    other.wall += 80_000;
    other.step({ type: 'resumed' });
    expect(other.outcome?.type).toBe('expired');
  });

  test('in another boot whose calendar was set back takes no time to have passed', () => {
    const bench = new Bench4();
    bench.bind();
    bench.boot = 'two';
    bench.now = 500;
    bench.wall -= 1e9;
    bench.step({ type: 'resumed' });
    expect(bench.state.lease?.expiresAt).toBe(500 + 80_000);
  });

  test('in the middle of acquiring begins anew; when stopped it stays so', () => {
    const bench = requesting();
    expect(kinds(bench.step({ type: 'resumed' }))).toEqual(['discover']);
    bench.step({ type: 'release' });
    expect(bench.step({ type: 'resumed' })).toEqual([]);
  });

  test('takes no state that is damaged, or of another version', () => {
    const bench = new Bench4();
    bench.bind();
    const good = JSON.parse(JSON.stringify(bench.state));
    expect(parseClient4(good)).toEqual(bench.state);
    const { lease } = good;
    const bad = [
      undefined,
      null,
      [],
      {},
      { ...good, version: 2 },
      { ...good, phase: 'dreaming' },
      { ...good, due: 'soon' },
      { ...good, lease: { ...lease, address: '1.2.3' } },
      { ...good, lease: { ...lease, options: { 1: 'xyz' } } },
      { ...good, config: { ...config, mac: 'no' } },
      { ...good, stamp: undefined },
    ];
    for (const one of bad) expect(parseClient4(one)).toBeUndefined();
  });
});

describe('a link that goes down and comes back', () => {
  test('has its lease confirmed: the address without a server id (INIT-REBOOT)', () => {
    const bench = new Bench4();
    bench.bind();
    bench.step({ type: 'linkDown' });
    const [reboot] = bench.step({ type: 'linkUp' });
    expect(reboot).toMatchObject({ kind: 'reboot', source: '0.0.0.0', message: { ciaddr: '0.0.0.0' } });
    expect(codesOf(reboot!)).toEqual([50, 53, 55, 57, 61]);
    bench.hear(answer(reboot!.message, 'ack', address, server));
    expect(bench.outcome?.type).toBe('renewed');
  });

  test('keeps it where nobody answers, and loses it where the server says no', () => {
    const bench = new Bench4();
    bench.bind();
    bench.step({ type: 'linkDown' });
    bench.step({ type: 'linkUp' });
    expect(seconds(bench.run(30_000))).toEqual([4]);
    expect(bench.state).toMatchObject({ phase: 'bound', lease: { address } });
    bench.step({ type: 'linkDown' });
    const [reboot] = bench.step({ type: 'linkUp' });
    bench.hear(answer(reboot!.message, 'nak', '0.0.0.0', { serverId: '192.168.7.1' }));
    expect(bench.outcome?.type).toBe('lost');
  });

  test('is not sent to while it is down, and its lease ends all the same', () => {
    const bench = new Bench4();
    bench.bind();
    bench.step({ type: 'linkDown' });
    expect(bench.run(80_000)).toEqual([]);
    expect(bench.outcome?.type).toBe('expired');
    expect(kinds(bench.step({ type: 'linkUp' }))).toEqual(['discover']);
  });

  test('goes on with what it asked before, and counts from there', () => {
    const bench = renewing();
    const { xid } = bench.last.message;
    bench.step({ type: 'linkDown' });
    bench.run(15_000);
    const [renew] = bench.step({ type: 'linkUp' });
    expect(renew).toMatchObject({ kind: 'renew', message: { xid } });
    bench.hear(answer(renew!.message, 'ack', address, server));
    expect(bench.state.lease?.since).toBe(41_000);
  });

  test('up without having been down asks for nothing', () => {
    const bench = new Bench4();
    bench.bind();
    expect(bench.step({ type: 'linkUp' })).toEqual([]);
  });
});

describe('a wish for an address known from before (dhcp trap 12)', () => {
  test('is asked of all servers, and got', () => {
    const bench = new Bench4();
    const [reboot] = bench.step({ type: 'start', address });
    expect(reboot?.kind).toBe('reboot');
    bench.hear(answer(reboot!.message, 'ack', address, server));
    expect(bench.outcome).toMatchObject({ type: 'bound', lease: { address } });
  });

  test('that no server knows of is a wish in the DISCOVER; one refused is none', () => {
    const silent = new Bench4();
    silent.step({ type: 'start', address });
    expect(silent.run(8000).map(({ sent }) => sent.kind)).toEqual(['reboot', 'discover']);
    expect(option(silent.last, 'requestedAddress')).toBe(address);
    const refused = new Bench4();
    const [reboot] = refused.step({ type: 'start', address });
    refused.hear(answer(reboot!.message, 'nak', '0.0.0.0', { serverId: '192.168.7.1' }));
    refused.run(1000);
    expect(refused.last.kind).toBe('discover');
    expect(codesOf(refused.last)).not.toContain(50);
    expect(refused.outcomes).toEqual([]);
  });

  test('that is no address is none', () => {
    expect(kinds(new Bench4().step({ type: 'start', address: 'x' }))).toEqual(['discover']);
  });
});

describe('giving back', () => {
  test('RELEASE goes from the address to its server, with 53, 54 and 61 only (dhcp 4)', () => {
    const bench = new Bench4({ provide: { 12: '6331' } });
    bench.bind();
    const [release] = bench.step({ type: 'release' });
    expect(release).toMatchObject({ kind: 'release', source: address, destination: '192.168.7.1' });
    expect(release?.message.ciaddr).toBe(address);
    expect(codesOf(release!)).toEqual([53, 54, 61]);
    expect(toHex(option(release!, 'clientId')!)).toBe(config.clientId);
    expect(bench.outcome).toMatchObject({ type: 'released', previous: { address } });
    expect(bench.wakeAt).toBeUndefined();
  });

  test('RELEASE has the client id that was provided, as the REQUEST had it', () => {
    const bench = new Bench4({ provide: { 61: '6964' } });
    bench.bind();
    expect(toHex(option(bench.step({ type: 'release' })[0]!, 'clientId')!)).toBe('6964');
  });

  test('twice, or before anything, is nothing (dhcp trap 4)', () => {
    const bench = new Bench4();
    expect(bench.step({ type: 'release' })).toEqual([]);
    bench.bind();
    bench.step({ type: 'release' });
    expect(bench.step({ type: 'release' })).toEqual([]);
    expect(bench.outcome).toEqual({ type: 'released' });
  });

  test('during a renewal is at once (dhcp 25)', () => {
    expect(kinds(renewing().step({ type: 'release' }))).toEqual(['release']);
  });

  test('what ran out is not given back: it may be another’s', () => {
    const bench = new Bench4();
    bench.bind();
    bench.pass(80_000);
    expect(bench.step({ type: 'release' })).toEqual([]);
    expect(bench.outcome).toMatchObject({ type: 'released', previous: { address } });
  });

  test('what was asked for and may have been given is given back (dhcp trap 6)', () => {
    const [release] = requesting().step({ type: 'release' });
    expect(release).toMatchObject({ kind: 'release', message: { ciaddr: address } });
    expect(option(release!, 'serverId')).toBe('192.168.7.1');
  });

  test('DISCOVERs stop with it (dhcp trap 6)', () => {
    const bench = new Bench4();
    bench.step({ type: 'start' });
    bench.step({ type: 'release' });
    expect(bench.run(300_000)).toEqual([]);
  });
});

describe('an address that another host uses', () => {
  test('is declined, and after ten seconds another one asked for (RFC 2131, section 3.1 (5))', () => {
    const bench = new Bench4();
    bench.bind();
    const [decline] = bench.step({ type: 'decline' });
    expect(decline).toMatchObject({ kind: 'decline', source: '0.0.0.0', message: { ciaddr: '0.0.0.0' } });
    expect(codesOf(decline!)).toEqual([50, 53, 54, 61]);
    expect(bench.outcome).toMatchObject({ type: 'lost', reason: `another host uses ${address}` });
    expect(seconds(bench.run(10_000))).toEqual([10]);
    expect(codesOf(bench.last)).not.toContain(50);
  });

  test('every time, ends', () => {
    const bench = new Bench4();
    bench.bind();
    for (let i = 0; i < 10 && bench.state.phase !== 'stopped'; i++) {
      bench.step({ type: 'decline' });
      bench.wake();
      if (bench.last.kind !== 'discover') break;
      bench.hear(answer(bench.last.message, 'offer', address, server));
      bench.hear(answer(bench.last.message, 'ack', address, server));
    }
    expect(bench.outcome).toMatchObject({ type: 'failed', reason: `another host uses ${address}` });
  });

  test('is nothing to a client that has none', () => {
    expect(new Bench4().step({ type: 'decline' })).toEqual([]);
  });
});
