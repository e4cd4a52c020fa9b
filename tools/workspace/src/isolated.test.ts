import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { isolated, machinesOwn } from './isolated.ts';

/** Runs a shell command as the tests run, on a machine that has this in each of its folders. */
function onAMachine(prepare: string, command: string) {
  const tests = isolated(process.getuid?.());
  const [program = '', ...args] = [
    ...['unshare', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), '--mount'],
    ...['--propagation', 'private', '--', 'sh', '-c', `${prepare}; exec "$0" "$@"`, ...tests],
    ...['sh', '-c', command],
  ];
  return spawnSync(program, args, { encoding: 'utf8' });
}

const [first] = machinesOwn;
const parents = ['/etc', '/opt', '/var/lib', '/run'].map((one) => `mount -t tmpfs tmpfs ${one}`).join('; ');
const files = machinesOwn.map((folder) => `mkdir -p ${folder}; echo theirs >${folder}/file`).join('; ');

test('what a machine has in the folders of plugins is neither seen nor changed by tests', () => {
  const look = `find ${machinesOwn.join(' ')} -type f; echo ours >${first}/new`;
  const { status, stdout, stderr } = onAMachine(`${parents}; ${files}`, look);
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});

test('a machine without those folders gets none', () => {
  const look = `ls -d ${machinesOwn.join(' ')} 2>/dev/null; ip -o link | wc -l`;
  const { status, stdout } = onAMachine(parents, look);
  expect({ status, stdout: stdout.trim() }).toEqual({ status: 0, stdout: '1' });
});
