import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab.close());

const config = (name: string, more: object = {}) => ({
  cniVersion: '1.0.0',
  name,
  type: 'bridge',
  bridge: `br-${name}`,
  isDefaultGateway: true,
  ...more,
  ipam: {
    type: 'host-local',
    dataDir: lab.networks,
    ranges: [[{ subnet: '10.30.0.0/16' }], [{ subnet: 'fd00:30::/64' }]],
  },
});

/** The addresses of a result. */
function addresses(json: Record<string, unknown> | undefined): string[] {
  const { ips } = json as { ips?: { address: string }[] }; // reason: a CNI result of 1.0.0
  return (ips ?? []).map(({ address }) => address.replace(/\/.*/, ''));
}

describe.skipIf(!existsSync(theirs))('beside the Go plugins', () => {
  test('32 attachments at once, half by our bridge on their host-local and half the reverse, share no address and lose none', async () => {
    const calls = Array.from({ length: 32 }, (_, i) => {
      const mine = i % 2 === 0;
      // The delegate is found in CNI_PATH: our bridge gets theirs, their bridge ours.
      return {
        bridge: mine ? ours : theirs,
        path: mine ? theirs : ours,
        id: `mix${i}`,
        netns: lab.container(`mix${i}`),
      };
    });
    const added = await Promise.all(
      calls.map(({ bridge, path, id, netns }) =>
        lab.plugin(`${bridge}/bridge`, config('mixed'), { command: 'ADD', containerId: id, netns, path }),
      ),
    );
    for (const answer of added) expect(answer.status, answer.stdout).toBe(0);
    const given = added.flatMap(({ json }) => addresses(json));
    expect(new Set(given).size).toBe(64);
    expect(lab.reservations('mixed').sort()).toEqual(given.sort());
    for (const { id } of calls) {
      const own = given.filter(
        (ip) => readFileSync(join(lab.networks, 'mixed', ip), 'utf8') === `${id}\r\neth0`,
      );
      expect(own, id).toHaveLength(2);
    }
    const gone = await Promise.all(
      calls.map(({ bridge, path, id, netns }) =>
        // Who added does not delete: every attachment is taken away by the other implementation.
        lab.plugin(`${bridge === ours ? theirs : ours}/bridge`, config('mixed'), {
          command: 'DEL',
          containerId: id,
          netns,
          path,
        }),
      ),
    );
    for (const answer of gone) expect(answer.status, answer.stdout).toBe(0);
    expect(lab.reservations('mixed')).toEqual([]);
    expect(lab.links().filter((name) => name.startsWith('veth'))).toEqual([]);
  });

  test.each([
    ['ours', ours, theirs],
    ['theirs', theirs, ours],
  ])(
    'an attachment with masquerading added by %s is checked and deleted by the other',
    async (who, adder, remover) => {
      const netns = lab.container(`cross-${who}`);
      const call = { containerId: `cross-${who}`, netns };
      const conf = config(`cross-${who}`, { ipMasq: true });
      const added = await lab.plugin(`${adder}/bridge`, conf, { ...call, path: adder, command: 'ADD' });
      expect(added.status, added.stdout).toBe(0);
      expect(lab.sh('iptables-save -t nat; ip6tables-save -t nat')).toContain(`cross-${who}`);
      const checked = { ...conf, prevResult: added.json };
      const good = await lab.plugin(`${remover}/bridge`, checked, {
        ...call,
        path: remover,
        command: 'CHECK',
      });
      expect(good.status, good.stdout).toBe(0);
      const gone = await lab.plugin(`${remover}/bridge`, checked, { ...call, path: remover, command: 'DEL' });
      expect(gone.status, gone.stdout).toBe(0);
      expect(lab.sh('iptables-save -t nat; ip6tables-save -t nat')).not.toContain(`cross-${who}`);
      expect(lab.reservations(`cross-${who}`)).toEqual([]);
    },
  );
});

test('64 attachments at once on a host without the bridge all succeed, and 64 DELs leave nothing', async () => {
  const conf = config('many', { ipMasq: true });
  const calls = Array.from({ length: 64 }, (_, i) => ({
    containerId: `many${i}`,
    netns: lab.container(`many${i}`),
  }));
  const added = await Promise.all(
    calls.map((call) => lab.plugin(`${ours}/bridge`, conf, { ...call, command: 'ADD' })),
  );
  for (const answer of added) expect(answer.status, answer.stdout).toBe(0);
  expect(new Set(added.flatMap(({ json }) => addresses(json))).size).toBe(128);
  expect(lab.inside(calls[63]?.netns ?? '', `ping -c1 -W2 ${addresses(added[0]?.json)[0]}`).status).toBe(0);
  const gone = await Promise.all(
    calls.map((call) => lab.plugin(`${ours}/bridge`, conf, { ...call, command: 'DEL' })),
  );
  for (const answer of gone) expect(answer.status, answer.stdout).toBe(0);
  expect(lab.links().filter((name) => name.startsWith('veth'))).toEqual([]);
  expect(lab.reservations('many')).toEqual([]);
  expect(lab.sh('iptables-save -t nat; ip6tables-save -t nat; nft list ruleset')).not.toMatch(/CNI-|many\d/);
});
