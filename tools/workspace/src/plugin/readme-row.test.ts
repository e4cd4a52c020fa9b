import { expect, test } from 'vitest';
import { withRow } from './readme-row.ts';

const table = ['| [ptp](p/README.md) | main | x |', '| [static](s/README.md) | IPAM | y |', '', '| a | b |'];

test('a plugin comes after the last of its kind', () => {
  const lines = withRow(table.join('\n'), 'vlan', 'main', 'v/README.md').split('\n');
  expect(lines).toEqual([
    table[0],
    '| [vlan](v/README.md) | main | new: say here what it does |',
    ...table.slice(1),
  ]);
});

test('a README without such a table is told', () => {
  expect(() => withRow(table.join('\n'), 'sbr', 'meta', 's')).toThrow('no table with plugins of kind meta');
});
