import { expect, test } from 'vitest';
import { busy, busyNotes, floorOf } from './busy.ts';

/** As measured: on a machine with nothing else to do, with one start in ten that takes long; and on two processors
 *  that twenty programs wait for. */
const quiet = [...[0.67, 0.72, 0.8, 0.85, 0.87, 0.87, 0.9, 0.95, 1.1], 5];
const contended = [0.67, 0.8, 1.2, 1.6, 1.7, 1.8, 2.1, 9, 17, 22];

test('a floor that varies is that of a busy machine', () => {
  expect(busy([floorOf('quiet', quiet)])).toEqual([]);
  expect(busy([floorOf('contended', contended)]).map(({ title }) => title)).toEqual(['contended']);
});

test('so is one that is far above the lowest of the run, however steady', () => {
  const slow = quiet.map((value) => value * 2);
  expect(busy([floorOf('first', quiet), floorOf('second', slow)]).map(({ title }) => title)).toEqual([
    'second',
  ]);
});

test('a note tells how far above', () => {
  expect(busyNotes([floorOf('quiet', quiet), floorOf('contended', contended)])).toEqual([
    'contended: the machine was busy with something else. An empty program took 1.75 ms (median) and 5.79 ms (mean), ' +
      'at its best in this run 0.670 ms: measure again.',
  ]);
});
