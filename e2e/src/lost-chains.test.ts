/** Whole chains of which some attachments are lost, and collected. */
import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Netns } from '@cni-ts/libc/netns';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Chain, expectReachable, orders } from './chain.ts';
import { containerIdOf, Lab } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.addWorld();
});
afterEach(() => lab.close());

test.each(orders)('by %s: GC of %s takes what is lost and leaves what is kept', async (backend, order) => {
  const chain = new Chain(lab, 'gc', 62, order, { backend, cniVersion: '1.1.0' });
  const kept = lab.container('kept');
  await chain.run('add', kept, { hostPort: 8062 });
  const before = lab.left();
  const [dropped, lost] = [lab.container('dropped'), lab.container('lost')];
  await chain.run('add', dropped, { hostPort: 8162 });
  await chain.run('add', lost, { hostPort: 8262 });
  // One the runtime forgot, and whose namespace went with it.
  rmSync(chain.cacheFile(lost));
  Netns.remove(lost);
  await chain.run('gc', kept, { flags: ['--keep', `${containerIdOf(kept)}/eth0`] });
  // The namespace, and its links with it, goes a moment after its last user.
  for (let patience = 100; patience > 0 && lab.links().length > before.links.length; patience--)
    await pause(20);
  expect(lab.left()).toEqual(before);
  await chain.run('check', kept, { hostPort: 8062 });
  await expectReachable(lab, kept, 8062);
  await chain.run('del', kept, { hostPort: 8062 });
});
