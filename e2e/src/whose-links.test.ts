/** DEL and undo of the executables take what is the attachment's, and that only: whoever made it, and whatever the kernel
 *  says, or was not heard to say. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Call, Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.sh('ip link add m0 type veth peer name m1; ip link set m0 up; ip link set m1 up');
});
afterEach(() => lab.close());

const types = ['bridge', 'ptp', 'macvlan'] as const;
const haveStrace = spawnSync('strace', ['-V']).status === 0;

function config(type: string, more: object = {}) {
  return {
    ...{ cniVersion: '1.0.0', name: `net-${type}`, type, bridge: 'cni0', master: 'm0', isGateway: true },
    ipam: { type: 'host-local', subnet: '10.40.0.0/24', dataDir: lab.networks },
    ...more,
  };
}

/** What `ip` says of the container's link: '' when there is none. */
function link(netns: string): string {
  return lab.inside(netns, 'ip -br link show eth0 2>/dev/null').stdout;
}

/** The host's ends of pairs. */
function hostEnds(): string[] {
  return lab.links().filter((name) => name.startsWith('veth'));
}

describe('what the kernel refuses', () => {
  test.each(types)(
    '%s: a DEL that may not delete says so at once, and the next one completes it',
    async (type) => {
      const netns = lab.container('c1');
      const call = { containerId: 'c1', netns };
      expect((await lab.plugin(join(ours, type), config(type), { ...call, command: 'ADD' })).status).toBe(0);
      // Slowed down, the refusal comes in while something else is asked.
      const slowly = haveStrace
        ? ['strace', '-f', '-o', '/dev/null', '-e', 'inject=sendto:delay_enter=3000']
        : [];
      const args = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', ...slowly, join(ours, type)];
      for (let i = 0; i < 5; i++) {
        const refused = spawnSync('setpriv', args, {
          env: lab.environment({ ...call, command: 'DEL' }),
          input: JSON.stringify(config(type)),
          encoding: 'utf8',
          timeout: 20_000,
          killSignal: 'SIGKILL',
        });
        expect([refused.status, refused.signal]).toEqual([1, null]);
        expect(JSON.parse(refused.stdout).msg).toMatch(
          /(^|; )failed to delete ".*": operation not permitted/,
        );
      }
      expect(link(netns)).toContain('eth0');
      expect((await lab.plugin(join(ours, type), config(type), { ...call, command: 'DEL' })).status).toBe(0);
      expect(link(netns)).toBe('');
    },
  );

  test.each(types)('%s: DEL leaves a link alone that the kernel would not let go', async (type) => {
    const netns = lab.container('c1');
    const call = { command: 'DEL', containerId: 'c1', ifname: 'lo', netns };
    const answer = await lab.plugin(join(ours, type), config(type), call);
    expect([answer.status, answer.stdout]).toEqual([0, '']);
    expect(lab.inside(netns, 'ip link show lo').status).toBe(0);
  });
});

describe("the plugin's own namespace", () => {
  const own = { name: 'n', cniVersion: '1.0.0', bridge: 'cni0' };

  test('is not entered by a path that leads elsewhere from one moment to the next', async () => {
    const [path, next] = [join(lab.dir, 'path'), join(lab.dir, 'next')];
    symlinkSync('/dev/null', path);
    // A thread of ours is where the lab is; of another process that is its main thread.
    const flip = `const fs = require('node:fs'); console.log('on');
      for (let i = 0; ; i++) { fs.symlinkSync(i % 2 ? process.argv[1] : '/proc/' + process.pid + '/ns/net', process.argv[2]);
        fs.renameSync(process.argv[2], process.argv[3]); }`;
    const child = spawn(process.execPath, ['-e', flip, lab.container('c1'), next, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await new Promise((started) => child.stdout.once('data', started));
      for (let i = 0; i < 100; i++) {
        const call = { command: 'ADD', containerId: `c${i}`, netns: path };
        const answer = await lab.plugin(join(ours, 'bridge'), { ...own, type: 'bridge' }, call);
        expect(lab.links(), answer.stdout).not.toContain('eth0');
      }
    } finally {
      child.kill('SIGKILL');
    }
  });

  test.skipIf(!haveStrace).each(['loopback', 'bridge', 'tuning'])(
    '%s does nothing where it cannot be told from the one of the container',
    (type) => {
      const prevResult = { cniVersion: '1.0.0', interfaces: [{ name: 'eth0', sandbox: '/x' }] };
      const config = { ...own, type, prevResult, sysctl: { 'net.ipv4.ip_forward': '1' } };
      const before = lab.left();
      const inject = ['-o', '/dev/null', '-e', 'inject=statx:error=EPERM', join(ours, type)];
      const { status, stdout } = spawnSync('strace', inject, {
        env: lab.environment({ command: 'ADD', netns: '/proc/thread-self/ns/net' }),
        input: JSON.stringify(config),
        encoding: 'utf8',
      });
      expect([status, stdout]).toEqual([1, expect.stringContaining('operation not permitted')]);
      expect(lab.left()).toEqual(before);
    },
  );
});

test.skipIf(!haveStrace).each(types)(
  '%s: an ADD that does not hear any one answer of the kernel leaves nothing',
  async (type) => {
    const l2 = config(type, { ipam: undefined });
    const given = type === 'ptp' ? config(type) : l2;
    // The bridge is there, so that what is compared is the attachment alone.
    const first = { containerId: 'first', netns: lab.container('first') };
    expect((await lab.plugin(join(ours, type), given, { ...first, command: 'ADD' })).status).toBe(0);
    const netns = lab.container('c1');
    const before = [lab.links(), lab.reservations(`net-${type}`)];
    for (let nth = 1; ; nth++) {
      const inject = `inject=recvfrom:error=ENOBUFS:when=${nth}`;
      const { status, stdout } = spawnSync('strace', ['-o', '/dev/null', '-e', inject, join(ours, type)], {
        env: lab.environment({ command: 'ADD', containerId: 'c1', netns }),
        input: JSON.stringify(given),
        encoding: 'utf8',
      });
      if (status === 0) {
        expect(nth).toBeGreaterThan(3);
        return;
      }
      expect(JSON.parse(stdout).msg).toMatch(/no buffer space available/);
      expect(link(netns), `answer ${nth} was lost: ${stdout}`).toBe('');
      expect([lab.links(), lab.reservations(`net-${type}`)]).toEqual(before);
    }
  },
);

describe.skipIf(!existsSync(theirs))('what the Go plugins made', () => {
  const by = (folder: string, type: string, more: object, call: Call) =>
    lab.plugin(join(folder, type), config(type, more), { path: folder, ...call });

  test.each(types)(
    "%s: DEL goes by prevResult, and leaves who has got the container's path by now",
    async (type) => {
      const path = lab.container('recycled');
      const results = new Map<string, unknown>();
      for (const id of ['gone', 'alive']) {
        const netns = id === 'gone' ? lab.container('gone') : path;
        const added = await by(theirs, type, {}, { command: 'ADD', containerId: id, netns });
        expect(added.status, added.stdout).toBe(0);
        results.set(id, added.json);
      }
      // The path of `gone` is that of `alive` from now on; its own namespace is on its way out.
      const gone = { containerId: 'gone', netns: path, command: 'DEL' };
      const freed = await by(ours, type, { prevResult: results.get('gone') }, gone);
      expect(freed.status, freed.stdout).toBe(0);
      expect(link(path)).toContain('eth0');
      expect(hostEnds()).toHaveLength(type === 'macvlan' ? 0 : 1);
      expect(lab.reservations(`net-${type}`)).toHaveLength(1);
      const alive = { containerId: 'alive', netns: path, command: 'DEL' };
      expect((await by(ours, type, { prevResult: results.get('alive') }, alive)).status).toBe(0);
      expect(link(path)).toBe('');
      expect(hostEnds()).toEqual([]);
    },
  );

  test.each(types)('%s: DEL without prevResult knows it by its network', async (type) => {
    const netns = lab.container('c1');
    const call = { containerId: 'c1', netns };
    expect((await by(theirs, type, {}, { ...call, command: 'ADD' })).status).toBe(0);
    const other = { bridge: 'cni1', master: 'm1', mode: 'private', name: 'other' };
    if (type !== 'ptp') {
      expect((await by(ours, type, other, { ...call, command: 'DEL' })).status).toBe(0);
      expect(link(netns)).toContain('eth0');
    }
    expect((await by(ours, type, {}, { ...call, command: 'DEL' })).status).toBe(0);
    expect(link(netns)).toBe('');
    expect(hostEnds()).toEqual([]);
  });

  test('an address that their host-local gave stays with the first ADD when a second is refused', async () => {
    const path = lab.pluginsFrom('mixed', { 'host-local': theirs });
    const first = { containerId: 'c1', netns: lab.container('c1'), path, command: 'ADD' };
    expect((await by(ours, 'macvlan', {}, first)).status).toBe(0);
    const reserved = lab.reservations('net-macvlan');
    const second = { ...first, netns: lab.container('c2') };
    const refused = await by(ours, 'macvlan', {}, second);
    expect(refused.json?.msg).toMatch(/duplicate allocation is not allowed/);
    expect(lab.reservations('net-macvlan')).toEqual(reserved);
    expect(link(second.netns)).toBe('');
  });
});
