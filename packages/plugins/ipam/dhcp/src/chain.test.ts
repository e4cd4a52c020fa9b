/** The plugin where it is used: called by a main plugin of the same program. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Container } from '@cni-ts/testing/namespaces';
import { expect, test } from 'vitest';
import { executables, type Json, Lab, until } from '../test/dhcp-lab.ts';
import { giving, ScriptedServer } from '../test/scripted-server.ts';

function call(folder: string, command: string, container: Container, config: object): Promise<Json> {
  const env = {
    PATH: process.env.PATH,
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: container.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: folder,
  };
  return new Promise((resolve, reject) => {
    const child = spawn(join(folder, 'bridge'), [], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (data) => {
      stdout += String(data);
    });
    child.stdin.end(JSON.stringify(config));
    child.on('close', (status) => {
      if (status === 0) resolve(JSON.parse(stdout || '{}'));
      else reject(new Error(stdout));
    });
  });
}

test.skipIf(executables === undefined)(
  'bridge with dhcp: the server sees the MAC that the runtime asks for, the container has address and route, and DEL gives the lease back (trap 7)',
  async () => {
    await using lab = new Lab();
    using server = new ScriptedServer(lab.serverPlace(), giving('192.168.7.50'));
    await lab.daemon();
    const container = lab.host.container('chained');
    const config = {
      cniVersion: '1.1.0',
      name: 'mynet',
      type: 'bridge',
      bridge: 'br0',
      ipam: { type: 'dhcp', daemonSocketPath: lab.socket },
      runtimeConfig: { mac: '02:00:00:00:00:77' },
    };
    const result = await call(executables ?? '', 'ADD', container, config);
    expect(result.ips[0]).toMatchObject({ address: '192.168.7.50/24', gateway: '192.168.7.1' });
    expect(Buffer.from(server.heard[0]!.message.chaddr).toString('hex')).toBe('020000000077');
    expect(container.sh('ip -4 addr show eth0')).toContain('192.168.7.50/24');
    expect(container.sh('ip route')).toContain('default via 192.168.7.1');
    expect(container.sh('ping -c 1 -W 2 192.168.7.1')).toContain('1 received');
    await call(executables ?? '', 'CHECK', container, { ...config, prevResult: result });
    await call(executables ?? '', 'DEL', container, { ...config, prevResult: result });
    await until(() => server.kinds.includes('release'), 'a release');
    expect(lab.kept).toEqual([]);
  },
);
