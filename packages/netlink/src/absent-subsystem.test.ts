import { RawNetlinkSocket } from '@cni-ts/libc/socket';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { expect, test, vi } from 'vitest';
import { AbsentSubsystem } from './absent-subsystem.ts';
import { u32 } from './codec.ts';
import { Netlink, Refused } from './socket.ts';

const request = { name: 'ASK', type: 0x0a01, flags: 0, message: u32, value: 7 };
const refusal = 'protocol not supported';

test('a kernel without the subsystem refuses every kind of conversation', () => {
  const { open } = Netlink;
  vi.spyOn(RawNetlinkSocket.prototype, 'setOption').mockImplementation(() => {
    // As if socket(2) had said so.
    throw new SyscallError('socket', 'EPROTONOSUPPORT');
  });
  expect(() => open('route')).toThrow(refusal);
  const nl = open('netfilter');
  vi.restoreAllMocks();
  expect(() => nl.request(request)).toThrow(refusal);
  expect(() => nl.get(request)).toThrow(refusal);
  expect(() => nl.find(request)).toThrow(refusal);
  expect(() => nl.dump(request)).toThrow(refusal);
  const all = [request, request, request] as unknown as Parameters<Netlink['batch']>[0]; // reason: as getEach takes them
  expect(nl.getEach(all).map((one) => one instanceof Refused && one.code)).toEqual(
    all.map(() => 'EPROTONOSUPPORT'),
  );
  expect(() => nl.batch(all)).toThrow(refusal);
  expect(() => nl.batch(all, (one) => one === all[2], true)).toThrow(refusal);
  // What was refused before is not taken for an answer to what is asked now.
  expect(() => nl.get(request)).toThrow(refusal);
  nl.closeBehind(60);
});

test('more messages than find room in one answer are refused one after the other, and then nothing comes', () => {
  const absent = new AbsentSubsystem();
  const message = new Uint8Array(20);
  message[0] = 20;
  const [many, into] = [new Uint8Array(60), new Uint8Array(80)];
  for (const at of [0, 20, 40]) many.set(message, at);
  absent.send(many);
  expect(absent.receive(into)).toBe(72);
  expect(absent.receiveNow(into)).toBe(36);
  expect(absent.receiveNow(into)).toBeUndefined();
  expect(() => absent.receive(into)).toThrow(SyscallError);
});
