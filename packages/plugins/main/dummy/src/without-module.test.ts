/** A kernel without dummies. What they are like is in dummy.uml.test.ts. */
import { call, fakeIpam } from '@cni-ts/testing/call';
import { test } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { snapshot } from '@cni-ts/testing/snapshot';
import { expect } from 'vitest';
import { dummy } from './dummy.ts';

test.skipIf(has('dummy'))(
  'ADD names the module that the kernel lacks, and has reserved nothing (dummy trap 7)',
  async ({ host, container }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: [{ address: '10.9.0.2/24' }] });
    const config = { cniVersion: '1.1.0', name: 'net1', type: 'dummy', ipam: { type: 'fake' } };
    const before = snapshot(container.netns);
    const { error } = await call(dummy, 'ADD', { config, container, path: host.bin });
    expect(error?.msg).toMatch(/^failed to create dummy: operation not supported.*the kernel.*"dummy"/);
    expect(log()).toEqual([]);
    expect(snapshot(container.netns)).toEqual(before);
  },
);
