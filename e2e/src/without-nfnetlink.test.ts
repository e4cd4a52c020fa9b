/**
 * Kernels of small devices have iptables' older tables and no nfnetlink at all: socket(2) says EPROTONOSUPPORT. A
 * filter of system calls makes the executables see such a kernel, and iptables' programs too.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { has } from '@cni-ts/testing/needs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours } from './lab.ts';

/** prctl(2) with a program for seccomp(2): AF_NETLINK sockets of protocol 12 fail with errno 93, then the program. */
const filter = `import ctypes, os, struct, sys
number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
load, equal, answer = 0x20, 0x15, 0x06
steps = [(load, 0, 0, 0), (equal, 0, 5, number), (load, 0, 0, 16), (equal, 0, 3, 16),
         (load, 0, 0, 32), (equal, 0, 1, 12), (answer, 0, 0, 0x00050000 | 93), (answer, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HL", len(steps), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0):
    sys.exit("no filter: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
`;

const path = process.env.PATH;
let lab: Lab;
let netns: string;
beforeAll(() => {
  lab = new Lab();
  const bin = join(lab.dir, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'filter.py'), filter);
  for (const name of ['iptables', 'ip6tables']) {
    for (const tool of ['', '-save', '-restore']) {
      symlinkSync(`/usr/sbin/${name}-legacy${tool}`, join(bin, name + tool));
    }
  }
  for (const type of ['bridge', 'ptp', 'portmap', 'firewall']) {
    const script = `#!/bin/sh\nexec python3 '${join(bin, 'filter.py')}' '${join(ours, type)}'\n`;
    writeFileSync(join(bin, type), script, { mode: 0o755 });
  }
  process.env.PATH = `${bin}:${path}`;
});
afterAll(() => {
  process.env.PATH = path;
  lab.close();
});

const call = (plugin: string, command: string, config: object) =>
  lab.plugin(
    join(lab.dir, 'bin', plugin),
    { cniVersion: '1.1.0', name: 'n', type: plugin, ...config },
    {
      command,
      netns,
    },
  );
const ok = async (plugin: string, command: string, config: object) => {
  const answer = await call(plugin, command, config);
  expect(answer.status, `${plugin} ${command}: ${answer.stdout}${answer.stderr}`).toBe(0);
  return answer.json ?? {};
};
const rules = () =>
  lab
    .sh('iptables-save; nft list ruleset')
    .split('\n')
    .filter((line) => /^-A .*CNI-|c1|cni/.test(line));

describe.skipIf(!has('legacy iptables'))('without nfnetlink', () => {
  const own = () => ({
    ipam: { type: 'host-local', subnet: '10.5.0.0/24', dataDir: lab.networks },
  });

  test.for([
    ['bridge', { bridge: 'cni0', isGateway: true, ipMasq: true }],
    ['ptp', { ipMasq: true }],
  ] as const)(
    "%s, portmap and firewall work by iptables' older tables, and leave nothing",
    async ([main, config]) => {
      netns = lab.container(main);
      const network = { ...config, ...own() };
      const ports = {
        runtimeConfig: {
          portMappings: [
            { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
            { hostPort: 8080, containerPort: 80, protocol: 'udp' },
          ],
        },
      };
      const prevResult = await ok(main, 'ADD', network);
      await lab.serve(netns, 80, 'hello');
      for (const plugin of ['portmap', 'firewall']) await ok(plugin, 'ADD', { ...ports, prevResult });
      expect(rules().join('\n')).toMatch(/MASQUERADE[\s\S]*DNAT/);
      expect(lab.greeting('', '127.0.0.1', 8080)).toBe('hello');
      for (const plugin of ['portmap', 'firewall']) await ok(plugin, 'CHECK', { ...ports, prevResult });
      await ok(main, 'CHECK', { ...network, prevResult });
      for (const plugin of ['firewall', 'portmap']) await ok(plugin, 'DEL', { ...ports, prevResult });
      await ok(main, 'DEL', { ...network, ipMasq: false });
      for (const plugin of ['firewall', 'portmap']) await ok(plugin, 'DEL', ports);
      const valid = { 'cni.dev/valid-attachments': [] };
      for (const plugin of [main, 'portmap', 'firewall']) await ok(plugin, 'GC', { ...network, ...valid });
      expect(rules().filter((line) => /10\.5\.0|c1/.test(line))).toEqual([]);
    },
  );

  test('what only nftables can do is refused in words, and leaves nothing', async () => {
    netns = lab.container('refused');
    const network = { bridge: 'cni9', isGateway: true, ...own() };
    for (const more of [{ macspoofchk: true }, { ipMasq: true, ipMasqBackend: 'nftables' }]) {
      const { status, json } = await call('bridge', 'ADD', { ...network, ...more });
      expect(status).toBe(1);
      expect(json?.msg).toMatch(
        /nftables: could not .*: protocol not supported; the kernel may lack nf_tables/,
      );
      expect(lab.links()).not.toContain('cni9');
      expect(lab.reservations('n')).toEqual([]);
      await ok('bridge', 'DEL', { ...network, ...more });
    }
  });
});
