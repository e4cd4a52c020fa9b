/** What a failed ADD takes back: all that it made, also where the kernel's answer was lost, and nothing of another's. */
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { Netlink } from '@cni-ts/netlink/socket';
import { type Call, call, succeed } from '@cni-ts/testing/call';
import { type Host, test } from '@cni-ts/testing/namespaces';
import { snapshot } from '@cni-ts/testing/snapshot';
import { afterEach, beforeEach, describe, expect, vi } from 'vitest';
import { firewall } from './firewall.ts';

beforeEach(() => {
  process.env.DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent/bus';
});
afterEach(() => void vi.restoreAllMocks());

const given = (backend: string, more: object = {}, number = 2): Call => ({
  config: { cniVersion: '1.1.0', name: 'net', type: 'firewall', backend, ingressPolicy: 'isolated', ...more },
  netns: '/run/netns/none',
  prevResult: {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'bridge0' }],
    ips: [{ address: `10.0.0.${number}/24` }, { address: `2001:db8::${number}/64` }],
  },
});

/** The n-th transaction is made, and nobody hears of it. */
function loseAnswer(of: number): void {
  const real = Netlink.prototype.batch;
  let count = 0;
  vi.spyOn(Netlink.prototype, 'batch').mockImplementation(function (this: Netlink, ...given) {
    real.apply(this, given);
    if (++count === of) throw new SyscallError('recv', 'ENOBUFS');
  });
}

// Sources only: into an executable nobody can reach.
describe.skipIf(process.env.CNI_TS_EXECUTABLES !== undefined).for(['iptables', 'nftables'])(
  '%s',
  (backend) => {
    const dropping = (host: Host) => host.sh('for t in iptables ip6tables; do $t -P FORWARD DROP; done');

    test('an ADD that never hears whether its rules were made leaves none', async ({ host }) => {
      dropping(host);
      const before = snapshot();
      const transactions = backend === 'iptables' ? 2 : 1;
      for (let number = 1; number <= transactions; number++) {
        loseAnswer(number);
        // Where iptables could try next, it is looked again, and all is found: then it is told to stop.
        const more = backend === 'iptables' ? { interrupted: () => 'SIGTERM' } : {};
        const failed = await call(firewall, 'ADD', { ...given(backend), ...more });
        vi.restoreAllMocks();
        expect(failed.error?.code).toBe(backend === 'iptables' ? 11 : 999);
        expect(failed.error?.details ?? '').not.toContain('could not undo');
        expect(snapshot()).toEqual(before);
      }
    });

    test('a first ADD with a policy that fails takes the policy back, and leaves what is others’', async ({
      host,
    }) => {
      const interrupted = { interrupted: () => 'SIGTERM' };
      await succeed(firewall, 'ADD', {
        ...given(backend, { ingressPolicy: 'open' }, 3),
        containerId: 'other',
      });
      const before = host.sh('nft -s list ruleset');
      const failed = await call(firewall, 'ADD', { ...given(backend), containerId: 'c1', ...interrupted });
      expect(failed.error?.code).toBe(11);
      expect(host.sh('nft -s list ruleset')).toBe(before);
    });

    test('a second ADD that fails leaves the rules of the first', async ({ host }) => {
      dropping(host);
      const interrupted = { interrupted: () => 'SIGTERM' };
      await succeed(firewall, 'ADD', given(backend));
      const before = host.sh('nft -s list ruleset');
      expect((await call(firewall, 'ADD', { ...given(backend), ...interrupted })).error?.code).toBe(11);
      expect(host.sh('nft -s list ruleset')).toBe(before);
      await succeed(firewall, 'CHECK', given(backend));
    });
  },
);
