/** That a chain does what its plan told, and that planning touched nothing. */
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { type Snapshot, snapshot } from '@cni-ts/testing/snapshot';
import { expect } from 'vitest';
import type { Lab } from './lab.ts';
import { untold } from './told-changes.ts';

interface Planned {
  readonly plugins: readonly { readonly changes: readonly { readonly text: string }[] }[];
  readonly result: object;
}

interface Options {
  readonly ifname?: string;
  readonly capabilities?: object;
  /** Where a server chooses: the line that says so, and what follows from its choice, which no line can tell. */
  readonly chosen?: { readonly line: RegExp; readonly facts: RegExp };
}

/** Plans, looks, adds, looks, and holds the differences against the lines. */
export async function expectDoneAsTold(
  lab: Lab,
  plugins: readonly object[],
  { ifname = 'eth0', capabilities = {}, chosen }: Options = {},
): Promise<void> {
  const folder = lab.network(
    'web',
    plugins.map((one) => inLab(lab, one)),
    '1.1.0',
  );
  const path = lab.container('c1');
  const env = { NETCONFPATH: folder, CAP_ARGS: JSON.stringify(capabilities) };
  const flags = ['--ifname', ifname];
  const look = () => ({ host: lab.left(), container: inside(path) });
  const before = look();
  const answer = await lab.cnitool(['plan', 'web', path, '--json', ...flags], env);
  expect(answer.status, answer.stdout + answer.stderr).toBe(0);
  expect(look()).toEqual(before);
  const added = await lab.cnitool(['add', 'web', path, ...flags], env);
  expect(added.status, added.stderr).toBe(0);
  const planned = answer.json as unknown as Planned; // reason: its schema says so
  const told = planned.plugins.flatMap(({ changes }) => changes.map(({ text }) => text));
  const differences = untold(before, look(), told);
  if (chosen) {
    expect(differences.told).toEqual([expect.stringMatching(chosen.line)]);
    for (const fact of differences.made) expect(fact).toMatch(chosen.facts);
    expect(differences.made.length).toBeGreaterThan(0);
    return;
  }
  expect(differences).toEqual({ made: [], told: [] });
  expect(withoutMacs(planned.result)).toEqual(withoutMacs(added.json));
}

/** State goes where the lab looks. */
function inLab(lab: Lab, plugin: object): object {
  const { ipam, type } = plugin as { ipam?: { type: string }; type: string }; // reason: a configuration
  const dataDir = { dataDir: join(lab.state, type) };
  return {
    ...plugin,
    ...(ipam && { ipam: { ...ipam, ...(ipam.type === 'host-local' && { dataDir: lab.networks }) } }),
    ...(['tuning', 'host-device', 'firewall'].includes(type) && dataDir),
  };
}

function inside(path: string): Snapshot {
  const netns = Netns.open(path);
  try {
    return snapshot(netns);
  } finally {
    netns.close();
  }
}

/** A link that is not there yet has no MAC, unless one is asked for. */
function withoutMacs(result: object | undefined): unknown {
  return JSON.parse(JSON.stringify(result ?? {}), (key, value) => (key === 'mac' ? undefined : value));
}
