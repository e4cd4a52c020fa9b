/** The chains of docs/guides that need another kernel, in user-mode Linux (`npm test` boots it). */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stepsOf, typesOf } from './guide.ts';
import { needsAnotherKernel } from './guide-chain.ts';
import { Lab, ours } from './lab.ts';

const page = readFileSync(join(workspaceRoot, 'docs/guides/chains.md'), 'utf8');
const chains = stepsOf(page).flatMap((step) => {
  const list = step.kind === 'file' ? typesOf(step.text) : undefined;
  return list && needsAnotherKernel(list.types) ? [{ name: list.name, text: step.text }] : [];
});

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
  lab.sh('ip link add eth1 type veth peer name far1; ip link set eth1 up; ip link set far1 up');
});
afterAll(() => lab.close());

describe.skipIf(!existsSync(join(ours, 'cnitool')))('chains of the guide', () => {
  test('there are three of them', () => {
    expect(chains.map(({ name }) => name)).toEqual(['vlan100', 'shared', 'tenant']);
  });

  test.each(chains)('$name is added, checked and removed', async ({ name, text }) => {
    const folder = join(lab.dir, `${name}.d`);
    mkdirSync(folder);
    const own = text.replaceAll(
      '"type": "host-local",',
      `"type": "host-local", "dataDir": "${lab.networks}",`,
    );
    writeFileSync(join(folder, '10.conflist'), own);
    const netns = lab.container(name);
    const before = lab.links();
    for (const command of ['add', 'check', 'del']) {
      const { status, stderr } = await lab.cnitool([command, name, netns], { NETCONFPATH: folder });
      expect([status, stderr], command).toEqual([0, '']);
    }
    expect(lab.inside(netns, 'ip -br link').stdout).not.toMatch(/eth0|blue/);
    expect(lab.links()).toEqual(before);
    expect(lab.reservations(name)).toEqual([]);
  });
});
