import { type Command, call, succeed } from '@cni-ts/testing/call';
import { type Container, test } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { describe, expect } from 'vitest';
import { vrf } from './vrf.ts';

function trial(container: Container, own: object = { vrfname: 'vrf0' }) {
  container.sh('ip link add net1 type veth peer name far1; ip link set net1 up; ip link set far1 up');
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'net1', sandbox: container.path }],
    ips: [{ address: '10.0.0.2/24', interface: 0 }],
  };
  const given = (more: object) => ({
    config: { cniVersion: '1.1.0', name: 'net', type: 'vrf', ...own },
    container,
    ifname: 'net1',
    prevResult,
    ...more,
  });
  return {
    prevResult,
    ok: (command: Command, more: object = {}) => succeed(vrf, command, given(more)),
    failure: async (command: Command, more: object = {}) => (await call(vrf, command, given(more))).error,
  };
}

// VRFs themselves: vrf.uml.test.ts.
describe('vrf, on any kernel,', () => {
  test.for([{}, { vrfname: '' }])(
    'wants a name, DEL does without: %j (vrf 4)',
    async (own, { container }) => {
      const { ok, failure } = trial(container, own);
      for (const command of ['ADD', 'CHECK'] as const) {
        const error = await failure(command);
        expect(error?.msg).toContain('configuration is expected to have a valid vrf name');
      }
      await ok('DEL');
    },
  );

  test.for(['sixteen-bytes-xx', 'a/b', 'a b'])(
    'refuses the name %j (trap 23)',
    async (vrfname, { container }) => {
      const { failure } = trial(container, { vrfname });
      expect((await failure('ADD'))?.msg).toMatch(/valid vrf name: .* is none \(1 to 15 bytes/);
    },
  );

  test('wants a prevResult (vrf 5)', async ({ container }) => {
    const { failure } = trial(container);
    for (const command of ['ADD', 'CHECK'] as const)
      expect((await failure(command, { prevResult: undefined }))?.msg).toBe(
        'missing prevResult from earlier plugin',
      );
  });

  test.for(['5', -1, 4294967296])('refuses the table %j (vrf 6)', async (table, { container }) => {
    const { failure } = trial(container, { vrfname: 'vrf0', table });
    expect((await failure('ADD'))?.msg).toMatch(/^failed to load netconf: .*table/);
  });

  test('refuses the name of another link (vrf 7)', async ({ container }) => {
    const { failure } = trial(container, { vrfname: 'far1' });
    expect((await failure('ADD'))?.msg).toBe('cmdAdd failed: Netlink far1 is not a VRF');
    for (const command of ['CHECK', 'DEL'] as const)
      expect((await failure(command))?.msg).toBe('Netlink far1 is not a VRF');
  });

  test('needs the link, and says what may be the matter (vrf 20, trap 16)', async ({ container }) => {
    const { failure } = trial(container);
    const error = await failure('ADD', { ifname: 'net9' });
    expect(error?.msg).toMatch(/^cmdAdd failed: could not get link by name net9.*DPDK/);
    expect(container.sh('ip -br link')).not.toContain('vrf0');
  });

  test('DEL succeeds without VRF, namespace, or path (vrf 22)', async ({ host, container }) => {
    const { ok } = trial(container);
    await ok('DEL');
    await ok('DEL', { container: undefined, netns: '' });
    await ok('DEL', { container: undefined, netns: `${host.dir}/nowhere` });
  });

  test('of 0.3.0 is understood as the other versions are (vrf 26)', async ({ container }) => {
    const { failure } = trial(container, { cniVersion: '0.3.0', vrfname: 'vrf0' });
    // Not a matter of versions: that there is no such link.
    const prevResult = {
      cniVersion: '0.3.0',
      interfaces: [{ name: 'net1', sandbox: container.path }],
      ips: [{ version: '4', address: '10.0.0.2/24', interface: 0 }],
    };
    expect((await failure('ADD', { ifname: 'net9', prevResult }))?.msg).toMatch(
      /^cmdAdd failed: could not get link/,
    );
  });

  test('GC finds nothing to do (vrf 27)', async ({ container }) => {
    const { ok } = trial(container, { vrfname: 'vrf0', 'cni.dev/valid-attachments': [] });
    await ok('GC', { container: undefined });
  });

  test.skipIf(has('vrf'))(
    'says what a kernel without VRF needs, in STATUS before (vrf 25, trap 10)',
    async ({ container }) => {
      const { failure } = trial(container);
      const text = /could not add VRF vrf0: operation not supported.*: the kernel has no VRF.*module vrf/i;
      expect((await failure('ADD'))?.msg).toMatch(text);
      expect(container.sh('ip -br link')).not.toContain('vrf0');
      const status = await failure('STATUS', { container: undefined });
      expect(status).toMatchObject({ code: 50, msg: expect.stringMatching(text) });
    },
  );
});
