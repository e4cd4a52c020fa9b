import { describe, expect, test } from 'vitest';
import { trunkVlans } from './vlan.ts';

const item = (id?: number, minID?: number, maxID?: number) => ({ id, minID, maxID });

describe('the VLANs of a trunk', () => {
  test('are the union of single ones and ranges, ascending, each once', () => {
    expect(trunkVlans([item(300), item(101, 200, 203), item(202), item()])).toEqual([
      101, 200, 201, 202, 203, 300,
    ]);
  });

  test('may go from 1 to 4094', () => {
    expect(trunkVlans([item(undefined, 1, 4094)])).toHaveLength(4094);
  });

  test.each([
    [item(undefined, undefined, 5), 'minID and maxID should be configured simultaneously, minID is missing'],
    [item(undefined, 5), 'minID and maxID should be configured simultaneously, maxID is missing'],
    [item(undefined, 0, 5), 'incorrect trunk minID parameter'],
    [item(undefined, 5, 4095), 'incorrect trunk maxID parameter'],
    [item(undefined, 6, 5), 'minID is greater than maxID in trunk parameter'],
    [item(0), 'incorrect trunk id parameter'],
    [item(4095), 'incorrect trunk id parameter'],
    [item(4095, 6, 5), 'minID is greater than maxID in trunk parameter'],
  ])('cannot be read from %j: %s', (bad, message) => {
    expect(() => trunkVlans([item(7), bad])).toThrow(message);
  });
});
