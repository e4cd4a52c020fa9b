/** `node rehearsal-calls.ts ‹bin› ‹folder›`, in namespaces of its own: the calls that runtimes make most, each of which
 *  leaves a record of the functions it used in ‹folder›. Failures are no failure: what did not run is not recorded. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mount } from '@cni-ts/libc/mount';
import { Netns } from '@cni-ts/libc/netns';

const [bin = '', folder = ''] = process.argv.slice(2);
// What plugins keep under /run is thrown away with this mount.
mount('rehearsal', '/run', 'tmpfs', 0);
mkdirSync('/run/cni');
const netns = '/run/cni/netns';
Netns.createAt(netns).close();

let calls = 0;
function record(name: string, args: readonly string[], env: Record<string, string>, input = ''): string {
  const out = join(folder, `${String(calls++).padStart(3, '0')}.order`);
  const { stdout } = spawnSync(join(bin, name), args, {
    env: { PATH: process.env.PATH ?? '', BUN_BYTECODE_ORDER_OUT: out, CNI_PATH: bin, ...env },
    input,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return stdout;
}

const network = { cniVersion: '1.0.0', name: 'rehearsal' };
const ipam = { type: 'host-local', subnet: '10.199.0.0/16', dataDir: '/run/cni/networks' };
const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
const chain: { type: string; [key: string]: unknown }[] = [
  { type: 'bridge', bridge: 'cni-r0', isDefaultGateway: true, ipMasq: true, ipam },
  { type: 'portmap', runtimeConfig: { portMappings: ports } },
  { type: 'firewall' },
  { type: 'bandwidth', ingressRate: 1e8, ingressBurst: 1e7, egressRate: 1e8, egressBurst: 1e7 },
  { type: 'tuning', mtu: 1400 },
];
const ptp = { type: 'ptp', ipam: { type: 'static', addresses: [{ address: '10.198.0.2/24' }] } };
const backends = ['iptables', 'nftables'];

function call(command: string, config: { type: string }, prevResult: unknown, ifname = 'eth0'): unknown {
  const env = { CNI_COMMAND: command, CNI_CONTAINERID: 'rehearsal', CNI_NETNS: netns, CNI_IFNAME: ifname };
  const stdout = record(
    config.type,
    [],
    env,
    JSON.stringify({ ...network, ...config, ...(prevResult ? { prevResult } : {}) }),
  );
  try {
    return JSON.parse(stdout);
  } catch {
    return undefined; // CHECK and DEL print nothing
  }
}

/** Twice, for the first attachment of a host is not like the others. */
function attach(plugins: readonly { type: string }[], ifname = 'eth0'): void {
  for (let round = 0; round < 2; round++) {
    let result: unknown;
    for (const plugin of plugins) result = call('ADD', plugin, result, ifname) ?? result;
    for (const plugin of plugins) call('CHECK', plugin, result, ifname);
    for (const plugin of plugins.toReversed()) call('DEL', plugin, result, ifname);
  }
}

attach(chain.map((plugin) => ({ ...plugin, ipMasq: false })));
attach(chain);
for (const backend of backends)
  attach(chain.map((plugin) => ({ ...plugin, backend, ipMasqBackend: backend })));
attach([ptp]);
attach([{ type: 'loopback' }], 'lo');
call('VERSION', { type: 'bridge' }, undefined);

writeFileSync('/run/cni/10-rehearsal.conflist', JSON.stringify({ ...network, plugins: chain }));
for (const verb of ['add', 'check', 'del']) {
  record('cnitool', [verb, 'rehearsal', netns], { NETCONFPATH: '/run/cni', CNI_CACHE_DIR: '/run/cni/cache' });
}
