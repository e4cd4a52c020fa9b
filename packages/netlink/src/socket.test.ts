import { Netns } from '@cni-ts/libc/netns';
import { RawNetlinkSocket } from '@cni-ts/libc/socket';
import { errnoOf, SyscallError, wasRefused } from '@cni-ts/libc/syscall-error';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { attributes } from './attributes.ts';
import { s32, struct, u8, u16, u32 } from './codec.ts';
import { message } from './message.ts';
import { Netlink } from './socket.ts';

/** struct ifinfomsg and nothing else: enough to ask for lo, and to delete it, which the kernel refuses. */
const linkMessage = message(
  struct({ family: u8, padding: u8, type: u16, index: s32, flags: u32, change: u32 }),
  attributes('IFLA_', {}),
);
const lo = { flags: 0, message: linkMessage, value: { index: 1 } };
const getLo = { ...lo, name: 'RTM_GETLINK', type: 18 };
const deleteLo = { ...lo, name: 'RTM_DELLINK', type: 17 };

let netns: Netns;
let nl: Netlink;
beforeEach(() => {
  netns = Netns.create();
  nl = Netlink.open('route', netns);
});
afterEach(() => {
  vi.restoreAllMocks();
  delete (globalThis as { engine?: unknown }).engine; // reason: see leavingBehind
  nl.close();
  netns.close();
});

/** What the compiled program has: here the message is sent at once, or never. */
function leavingBehind(isSent: boolean): void {
  const leaveBehind = (fd: number, bytes: Uint8Array) => {
    if (isSent) RawNetlinkSocket.prototype.send.call({ fd }, bytes);
    return true;
  };
  // reason: the engine's global, of which Netlink uses this alone
  (globalThis as { engine?: unknown }).engine = { leaveBehind };
}

function failure(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

test('a refusal that comes between the answers to other requests is kept for who asked', () => {
  leavingBehind(true);
  const answered = nl.requestBehind(deleteLo)!;
  for (let i = 0; i < 3; i++) expect(nl.get(getLo).index).toBe(1);
  const refused = failure(answered);
  expect(errnoOf(refused)).toBe('EOPNOTSUPP');
  expect(refused).toMatchObject({ call: 'RTM_DELLINK' });
  expect(nl.get(getLo).index).toBe(1);
});

test('a request that was never sent is never answered, and keeps no other from its answer', () => {
  leavingBehind(false);
  const answered = nl.requestBehind(deleteLo)!;
  expect(nl.get(getLo).index).toBe(1);
  expect(answered()).toBe(false);
});

/** Messages of 16 bytes with a sequence number that nobody waits for, one after the other. */
function flood(): { mock: { calls: unknown[] } } {
  return vi.spyOn(RawNetlinkSocket.prototype, 'receive').mockImplementation((into: Uint8Array) => {
    new DataView(into.buffer).setUint32(0, 16, true);
    new DataView(into.buffer).setUint32(8, 0xfffffff0, true);
    return 16;
  });
}

test.each([
  ['a change', () => nl.request(deleteLo)],
  ['a get', () => nl.get(getLo)],
  ['a question', () => nl.find(getLo)],
  ['several gets', () => nl.getEach([getLo as never])],
  ['a dump', () => nl.dump(getLo)],
  ['a batch', () => nl.batch([deleteLo as never])],
])("%s is given up after a minute of others' messages", (_what, work) => {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => (now += 10_000));
  const received = flood();
  const error = failure(work);
  expect(error).toMatchObject({ call: 'recv', code: 'ETIMEDOUT' });
  expect(String(error)).toMatch(/the kernel has not answered RTM_(GET|DEL)LINK for 60 seconds/);
  expect(wasRefused(error)).toBe(false);
  expect(received.mock.calls.length).toBeLessThan(12);
});

test('an answer that was lost is told by the name of its request, and is no refusal', () => {
  vi.spyOn(RawNetlinkSocket.prototype, 'receive').mockImplementation(() => {
    throw new SyscallError('recv', 'ENOBUFS');
  });
  const lost = failure(() => nl.request(deleteLo));
  expect(String(lost)).toContain("no buffer space available (the kernel's answer to RTM_DELLINK was lost)");
  expect(wasRefused(lost)).toBe(false);
});

test('a socket that gives up receiving says what it waited for', () => {
  vi.spyOn(RawNetlinkSocket.prototype, 'receive').mockImplementation(() => {
    throw new SyscallError('recv', 'EAGAIN');
  });
  const lost = failure(() => nl.request(deleteLo));
  expect(String(lost)).toContain('the kernel has not answered RTM_DELLINK for 60 seconds');
  expect(wasRefused(lost)).toBe(false);
});
