/** A host that is full of other people's rules, or whose rules never rest. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RawNetlinkSocket } from '@cni-ts/libc/socket';
import type { Container, Host } from '@cni-ts/testing/namespaces';
import { test } from '@cni-ts/testing/namespaces';
import { backends, callsOf, connect, mappings } from '@cni-ts/testing/published-ports';
import { describe, expect, onTestFinished, vi } from 'vitest';
import { portmap } from './portmap.ts';

const ports = mappings([8080, 80], [5353, 53, 'udp', '10.254.0.1']);

/** Messages sent to the kernel by netlink and bytes that came back while something is done. */
async function conversation(work: () => Promise<unknown>): Promise<{ sent: number; received: number }> {
  const told = { sent: 0, received: 0 };
  const { send, receive } = RawNetlinkSocket.prototype;
  const spies = [
    vi.spyOn(RawNetlinkSocket.prototype, 'send').mockImplementation(function (this: RawNetlinkSocket, bytes) {
      told.sent++;
      return send.call(this, bytes);
    }),
    vi.spyOn(RawNetlinkSocket.prototype, 'receive').mockImplementation(function (
      this: RawNetlinkSocket,
      into,
    ) {
      const length = receive.call(this, into);
      told.received += length;
      return length;
    }),
  ];
  await work();
  for (const spy of spies) spy.mockRestore();
  return told;
}

function crowd(host: Host): void {
  const rules = Array.from(
    { length: 10_000 },
    (_, i) => `ip saddr 10.${i >> 8}.${i & 255}.1 tcp dport ${i + 1} accept`,
  );
  const file = join(host.dir, 'crowd');
  writeFileSync(
    file,
    `table inet crowd { chain everyone {\n${rules.join('\n')}\n}\n}
table ip nat { chain STRANGERS {\n${rules.slice(0, 2000).join('\n')}\n}\n}\n`,
  );
  host.sh(`nft -f ${file} && rm ${file}`);
}

describe.for(backends)('by %s', (backend) => {
  const own = { backend, ...ports };
  const verbs = async (container: Container, prevResult: object) => {
    const { ok } = callsOf(portmap, container, prevResult);
    const told: Record<string, Awaited<ReturnType<typeof conversation>>> = {};
    for (const verb of ['ADD', 'DEL'] as const) told[verb] = await conversation(() => ok(verb, own));
    told['DEL again'] = await conversation(() => ok('DEL', own));
    return told;
  };

  test('ten thousand rules of others are not asked for: what is said to the kernel is the same', async ({
    host,
    container,
  }) => {
    const prevResult = connect(host, container);
    // Connections are looked for only where there are any, and neighbour discovery may make one at any time.
    host.sh(
      'conntrack -I -p udp -t 600 -s 10.9.9.8 -d 10.9.9.9 --sport 1 --dport 2 --reply-src 10.9.9.9 --reply-dst 10.9.9.8 --reply-port-src 2 --reply-port-dst 1',
    );
    // The built-in chains of iptables are there after its first use.
    await verbs(container, prevResult);
    const alone = await verbs(container, prevResult);
    expect(Object.values(alone).every(({ sent, received }) => sent > 0 && received > 0)).toBe(true);
    crowd(host);
    expect(await verbs(container, prevResult)).toEqual(alone);
  });

  test('while others change their rules without pause, nothing fails and nothing stays', async ({
    host,
    container,
  }) => {
    const prevResult = connect(host, container);
    host.sh('nft add table inet restless; nft add chain inet restless c; iptables -t nat -N RESTLESS');
    const churn = spawn(
      'bash',
      [
        '-c',
        `end=$((SECONDS + 60)); while [ $SECONDS -lt $end ]; do
           nft -f - <<<"flush chain inet restless c
           ${Array.from({ length: 40 }, (_, i) => `add rule inet restless c tcp dport ${i + 1} accept`).join('\n')}"
         done`,
      ],
      { stdio: 'ignore' },
    );
    onTestFinished(() => void churn.kill());
    const { ok } = callsOf(portmap, container, prevResult);
    await ok('ADD', { backend, ...mappings([9000, 90]) }, { containerId: 'other' });
    for (let round = 0; round < 12; round++) {
      await ok('ADD', own);
      await ok('CHECK', own);
      await ok('DEL', own);
    }
    const listed = host.sh('nft list ruleset; iptables-save -t nat');
    expect(listed).not.toContain('8080');
    expect(listed).toContain('9000');
  });

  test('sctp is redirected by the same rules', async ({ host, container }) => {
    const { ok } = callsOf(portmap, container);
    const sctp = { backend, ...mappings([8080, 80, 'sctp']) };
    await ok('ADD', sctp);
    await ok('CHECK', sctp);
    const listed = host.sh('nft list ruleset; iptables-save -t nat');
    expect(listed).toMatch(
      /sctp dport 8080 dnat to 10\.254\.0\.2:80|-p sctp -m sctp --dport 8080 -j DNAT --to-destination 10\.254\.0\.2:80/,
    );
    await ok('DEL', sctp);
    expect(host.sh('nft list ruleset; iptables-save -t nat')).not.toContain('8080');
  });
});

test('containers that start at once on an empty host all get their ports, and one of two the same', async ({
  host,
}) => {
  /** ADD in a process of its own. */
  const add = (i: number, hostPort: number) =>
    new Promise<number | null>((done) => {
      const program = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts')];
      const child = spawn(process.execPath, program, {
        stdio: ['pipe', 'ignore', 'inherit'],
        env: {
          PATH: process.env.PATH,
          CNI_COMMAND: 'ADD',
          CNI_CONTAINERID: `c${i}`,
          CNI_NETNS: '/run/netns/none',
          CNI_IFNAME: 'eth0',
          CNI_PATH: host.bin,
        },
      });
      child.on('close', done);
      child.stdin.end(
        JSON.stringify({
          cniVersion: '1.1.0',
          name: 'test',
          type: 'portmap',
          backend: backends[i % 2],
          prevResult: { cniVersion: '1.1.0', ips: [{ address: `10.254.0.${i + 2}/24` }] },
          ...mappings([hostPort, 80]),
        }),
      );
    });
  const all = [0, 1, 2, 3, 4, 5];
  expect(await Promise.all(all.map((i) => add(i, 8000 + i)))).toEqual(all.map(() => 0));
  const listed = host.sh('nft list ruleset; iptables-save -t nat');
  for (const i of all) expect(listed).toContain(`10.254.0.${i + 2}:80`);
  const rivals = await Promise.all([10, 11, 12, 13].map((i) => add(i, 9000)));
  expect(rivals.sort()).toEqual([0, 1, 1, 1]);
});
