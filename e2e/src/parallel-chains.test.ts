/** Many containers at once on a host where nothing is yet, as after a reboot. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addressIn, backends, Chain } from './chain.ts';
import { Lab } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.addWorld();
});
afterEach(() => lab.close());

test.each(backends)(
  'by %s: 32 full chains added and deleted at once, none fails and nothing is left',
  async (backend) => {
    const order = ['bridge', 'tuning', 'portmap', 'firewall', 'bandwidth'] as const;
    const chain = new Chain(lab, 'many', 71, order, { backend, cniVersion: '1.1.0' });
    const calls = Array.from({ length: 32 }, (_, i) => ({
      netns: lab.container(`many${i}`),
      options: { hostPort: 8100 + i },
    }));
    const all = (command: string) =>
      Promise.all(calls.map(({ netns, options }) => chain.run(command, netns, options)));
    const addresses = (await all('add')).map(addressIn);
    expect(new Set(addresses).size).toBe(32);
    for (const i of [0, 31]) {
      const netns = calls[i]?.netns ?? '';
      await lab.serve(netns, 80, `container ${i}`);
      expect(lab.greeting(lab.world, lab.uplinkAddress, 8100 + i)).toBe(`container ${i}`);
    }
    await chain.run('check', calls[7]?.netns ?? '', calls[7]?.options);
    await all('del');
    // The same as after one container alone.
    const { files, ...left } = lab.left();
    expect(files).toEqual({});
    expect(lab.reservations('many')).toEqual([]);
    await chain.warmUp();
    const { files: _, ...after } = lab.left();
    expect(left).toEqual(after);
    expect(lab.links()).toEqual(['lo', 'many', 'uplink']);
    for (const address of addresses) expect(JSON.stringify(left)).not.toContain(`"${address}"`);
  },
);
