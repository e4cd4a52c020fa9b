/** Ranges of networks that have their addresses from a cluster, beside each other and beside host-local's. */
import { expect, test } from 'vitest';
import { Source } from './source.ts';
import { validate } from './validate.ts';

const network = (name: string, ipam: object) => ({
  cniVersion: '1.0.0',
  name,
  plugins: [{ type: 'bridge', bridge: `${name}0`, ipam }],
});
const pool = (range: string, more: object = {}) => ({ type: 'cluster-pool', range, ...more });

async function found(...networks: readonly { readonly name: string }[]): Promise<string[]> {
  const sources = networks.map((one) => new Source(`${one.name}.conflist`, JSON.stringify(one)));
  const { findings } = await validate(sources, {
    plugin: () => undefined,
    links: 'is not looked at',
    programs: 'is not looked at',
    isFolder: true,
    hasPluginsBeside: () => false,
  });
  return findings.map(
    ({ file, level, code, pointer, message }) => `${file} ${level} ${code} ${pointer}: ${message}`,
  );
}

test('of one space may overlap, under either name of the plugin', async () => {
  expect(
    await found(
      network('a', pool('10.1.0.0/16')),
      network('b', { ...pool('10.1.9.0/24'), type: 'whereabouts' }),
    ),
  ).toEqual([]);
});

test('of two spaces that overlap are told: they do not know of each other', async () => {
  expect(
    await found(
      network('a', pool('10.1.0.0/16')),
      network(
        'b',
        pool('10.9.0.0/16', { network_name: 'other', ipRanges: [{ range: '10.1.0.5-10.1.0.9/16' }] }),
      ),
    ),
  ).toEqual([
    'b.conflist warning CNI2007 /plugins/0/ipam/ipRanges/0/range: 10.1.0.5-10.1.0.9 overlaps 10.1.0.0/16 of network a in a.conflist, and spaces other and default (network_name) do not know of each other',
  ]);
});

test("that overlap host-local's are told, whichever comes first", async () => {
  const local = { type: 'host-local', subnet: '10.1.9.0/24' };
  const said =
    'and host-local on this node does not know what the cluster gives: leave out of one what the other has';
  expect(await found(network('a', pool('10.1.0.7/16')), network('b', local))).toEqual([
    `b.conflist warning CNI2007 /plugins/0/ipam/subnet: 10.1.9.0/24 overlaps 10.1.0.0/16 of network a in a.conflist, ${said}`,
  ]);
  expect(await found(network('a', local), network('b', pool('10.1.0.0/16')))).toHaveLength(1);
  expect(await found(network('a', local), network('b', pool('10.2.0.0/16')))).toEqual([]);
});
