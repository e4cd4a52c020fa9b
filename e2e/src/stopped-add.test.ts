import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  'a cnitool add that gets %s while a later plugin works takes back what the earlier ones made',
  async (signal) => {
    const folder = join(lab.dir, 'plugins');
    mkdirSync(folder);
    for (const name of ['bridge', 'host-local']) symlinkSync(join(ours, name), join(folder, name));
    const begun = join(lab.dir, 'begun');
    const slow = `#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\ncat >/dev/null; touch ${begun}; sleep 1\necho '{"cniVersion":"1.0.0"}'\n`;
    writeFileSync(join(folder, 'slow'), slow, { mode: 0o755 });
    const ipam = { type: 'host-local', subnet: '10.67.0.0/24', dataDir: lab.networks };
    const net = lab.network('stopped', [{ type: 'bridge', bridge: 'br67', ipam }, { type: 'slow' }]);
    const netns = lab.container('c1');
    const before = lab.links();
    const env = {
      PATH: process.env.PATH,
      NETCONFPATH: net,
      CNI_PATH: folder,
      CNI_CACHE_DIR: join(lab.dir, 'cache'),
    };
    const child = spawn(join(ours, 'cnitool'), ['add', 'stopped', netns], { env });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    while (!existsSync(begun)) await pause(10);
    child.kill(signal);
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect(status, stderr).toBe(1);
    expect(stderr).toMatch(/^Error: /);
    expect(lab.inside(netns, 'ip -br link').stdout).not.toContain('eth0');
    // The bridge is shared, and stays.
    expect(lab.links().filter((name) => name !== 'br67')).toEqual(before);
    expect(lab.reservations('stopped')).toEqual([]);
  },
);
