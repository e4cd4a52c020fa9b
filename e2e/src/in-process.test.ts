import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

/** The plugins in a mount of theirs from which nothing can be executed: the same files, so the same program. */
test('cnitool calls the plugins of its own program; told to execute them, it executes them', () => {
  const folder = join(lab.dir, 'net.d');
  mkdirSync(folder);
  const ipam = { type: 'host-local', subnet: '10.63.0.0/24', dataDir: lab.networks };
  const plugins = [{ type: 'bridge', bridge: 'br63', ipam }, { type: 'tuning' }];
  const list = { cniVersion: '1.0.0', name: 'inside', plugins };
  writeFileSync(join(folder, '10-inside.conflist'), JSON.stringify(list));
  const netns = lab.container('c1');
  const sealed = join(lab.dir, 'sealed');
  mkdirSync(sealed);
  const run = (...args: string[]) =>
    lab.sh(`unshare -m --propagation private bash -c '
      mount --bind ${ours} ${sealed} && mount -o remount,bind,noexec ${sealed}
      export NETCONFPATH=${folder} CNI_CACHE_DIR=${lab.dir}/cache CNI_PATH=${sealed}
      ${ours}/cnitool ${args.join(' ')} inside ${netns} 2>&1 || echo "failed"'`);

  expect(run('--exec', 'add')).toMatch(/permission denied[\s\S]*failed/);
  expect(JSON.parse(run('add'))).toMatchObject({ ips: [{ address: '10.63.0.2/24' }] });
  expect(run('check')).toBe('');
  expect(run('del')).toBe('');
  expect(lab.reservations('inside')).toEqual([]);
});
