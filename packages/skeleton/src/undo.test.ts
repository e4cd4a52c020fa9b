import { SyscallError } from '@cni-ts/libc/syscall-error';
import { expect, test } from 'vitest';
import { Undo } from './undo.ts';

test('steps run last to first, and only once', async () => {
  const done: string[] = [];
  const undo = new Undo();
  expect(undo.empty).toBe(true);
  undo.add('first', () => void done.push('first'));
  undo.add('second', async () => void done.push('second'));
  expect(undo.empty).toBe(false);
  expect(await undo.run()).toEqual([]);
  expect(await undo.run()).toEqual([]);
  expect(done).toEqual(['second', 'first']);
});

test('a step that fails is reported in words and keeps no other from running', async () => {
  const done: string[] = [];
  const undo = new Undo();
  undo.add('bridge cni0', () => void done.push('bridge'));
  undo.add('veth veth1', () => {
    throw new Error('EBUSY');
  });
  undo.add('route', () => Promise.reject(new Error('ESRCH')));
  expect(await undo.run()).toEqual(['could not undo route: ESRCH', 'could not undo veth veth1: EBUSY']);
  expect(done).toEqual(['bridge']);
});

test('what the kernel refused is not undone; what it may have done before its answer was lost is', async () => {
  const done: string[] = [];
  const undo = new Undo();
  const fail = (call: string) => () => {
    throw new Error('could not add', { cause: new SyscallError(call, 'ENOBUFS') });
  };
  expect(
    undo.make(
      'made',
      () => 7,
      () => void done.push('made'),
    ),
  ).toBe(7);
  expect(() => undo.make('refused', fail('RTM_NEWLINK'), () => void done.push('refused'))).toThrow(
    'could not add',
  );
  expect(() => undo.make('lost', fail('recv'), () => void done.push('lost'))).toThrow('could not add');
  expect(await undo.run()).toEqual([]);
  expect(done).toEqual(['lost', 'made']);
});
