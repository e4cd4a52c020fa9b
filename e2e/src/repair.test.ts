/** `cnitool repair`: a firewall was reloaded, routes and limits were lost, and everybody goes on talking. */
import { Netns } from '@cni-ts/libc/netns';
import type { Snapshot } from '@cni-ts/testing/snapshot';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Backend, Chain, closeForwarding } from './chain.ts';
import { echoIn, Visitor } from './hundred.ts';
import { type Answer, Lab } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.addWorld();
});
afterEach(() => lab.close());

const order = ['bridge', 'portmap', 'firewall', 'bandwidth'] as const;
const count = 100;
const firstPort = 8000;

/** What each of a hundred containers loses, besides the rules of all. */
function damage(containers: readonly string[]): void {
  lab.sh('echo 0 > /proc/sys/net/ipv4/ip_forward');
  for (const [i, path] of containers.entries()) {
    const netns = Netns.open(path);
    netns.run(() => {
      if (i % 2 === 0) lab.sh('ip route del default');
    });
    netns.close();
  }
  const ports = lab.links().filter((name) => name.startsWith('veth'));
  lab.sh(
    ports
      .flatMap((name, i) =>
        i % 3 === 0 ? [`tc qdisc del dev ${name} root`, `tc qdisc del dev ${name} ingress`] : [],
      )
      .join('\n'),
  );
}

const flushes: Record<Backend, string> = {
  nftables: 'nft flush ruleset',
  iptables: 'iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X',
};

test.each(['nftables', 'iptables'] as const)(
  'by %s: a hundred containers are reachable again within a second, and sessions live on',
  { timeout: 90_000 },
  async (backend) => {
    const open = closeForwarding(lab, backend);
    const chain = new Chain(lab, 'web', 40, order, { backend, cniVersion: '1.1.0' });
    const containers: string[] = [];
    for (let i = 0; i < count; i++) {
      const path = lab.container(`c${i}`);
      await chain.run('add', path, { hostPort: firstPort + i });
      containers.push(path);
    }
    const stop = echoIn(containers);
    const visitor = new Visitor(lab, firstPort, count);
    const repair = (...flags: string[]): Promise<Answer> => lab.cnitool(['repair', ...flags]);
    try {
      expect(await visitor.ask('open')).toBe(count);
      const before = lab.left();
      expect((await repair()).stdout).toBe(`${count} attachments: ${count} fine\n`);
      lab.sh(flushes[backend]);
      if (backend === 'nftables') closeForwarding(lab, backend);
      damage(containers);
      const begun = performance.now();
      const answer = await repair();
      const took = performance.now() - begun;
      console.log(backend, took, answer.stdout.split('\n').slice(-4));
      expect(answer.status, answer.stdout + answer.stderr).toBe(0);
      expect(await visitor.ask('fresh')).toBe(count);
      expect(await visitor.ask('kept')).toBe(count);
      expect((await repair()).stdout).toBe(`${count} attachments: ${count} fine\n`);
      expect(sorted(lab.left())).toEqual(sorted(before));
      expect(took).toBeLessThan(1000);
    } finally {
      visitor.leave();
      stop();
      open();
    }
  },
);

/** Rules of different attachments may come in any order. */
function sorted({ nftables, iptables, ...rest }: Snapshot): object {
  const texts = nftables.map((one) => JSON.stringify(one));
  return { ...rest, nftables: texts.sort(), iptables: [...iptables].sort() };
}
