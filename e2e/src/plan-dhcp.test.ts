/** `cnitool plan` where a server chooses the address: all else is told, and that it is not known is told as well. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { expect, test } from 'vitest';
import { giving, ScriptedServer } from '../../packages/plugins/ipam/dhcp/test/scripted-server.ts';
import { Lab, ours } from './lab.ts';
import { expectDoneAsTold } from './planned.ts';

test('macvlan, dhcp: nothing is touched and no server is asked; ADD does what is told, and what the server chose', async () => {
  const lab = new Lab();
  const path = lab.container('server');
  lab.sh(`ip link add up0 type veth peer name srv0; ip link set up0 up; ip link set srv0 netns ${path}`);
  const netns = Netns.open(path);
  const sh = (command: string) => lab.sh(`nsenter --net=${path} sh -c '${command}'`);
  sh('ip addr add 192.168.7.1/24 dev srv0; ip link set srv0 up');
  using server = new ScriptedServer({ sh, netns }, giving('192.168.7.50'));
  const daemonSocketPath = join(lab.dir, 'dhcp.sock');
  const daemon = spawn(join(ours, 'dhcp'), [
    'daemon',
    '-socketpath',
    daemonSocketPath,
    '-statedir',
    lab.state,
  ]);
  try {
    await expect
      .poll(() => lab.sh(`test -S ${daemonSocketPath} && echo there || echo missing`).trim())
      .toBe('there');
    const plugins = [{ type: 'macvlan', master: 'up0', ipam: { type: 'dhcp', daemonSocketPath } }];
    await expectDoneAsTold(lab, plugins, {
      chosen: {
        line: /^lease for cnitool-\w+\/web\/eth0 from a DHCP server/,
        facts: /^(address 192\.168\.7\.50|.*192\.168\.7\.)/,
      },
    });
    // One lease: the plan has asked for none.
    expect(server.kinds).toEqual(['discover', 'request']);
  } finally {
    daemon.kill('SIGKILL');
    netns.close();
    lab.close();
  }
});
