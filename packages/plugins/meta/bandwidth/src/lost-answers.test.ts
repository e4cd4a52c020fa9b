/** What a kernel's lost answer, or the end of the process at any of its messages, leaves: of the executable, by strace. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { snapshot } from '@cni-ts/testing/snapshot';
import { expect } from 'vitest';

const folder = process.env.CNI_TS_EXECUTABLES;
const strace = '/usr/bin/strace';
const cannot = folder === undefined || !existsSync(strace);

const limits = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 };

function makePair(host: Host, container: Container) {
  host.sh(`ip link add hv0 type veth peer name eth0 netns ${container.path}; ip link set hv0 up`);
}

/** One call of the executable while strace does something to it. `done`: strace had nothing to do any more. */
function run(command: string, container: Container, inject?: string, more: object = {}) {
  const config = {
    cniVersion: '1.1.0',
    name: 'n',
    type: 'bandwidth',
    ...limits,
    ...more,
    prevResult: {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'hv0' }, { name: 'eth0', sandbox: container.path }],
      ips: [],
    },
  };
  const program = join(folder ?? '', 'bandwidth');
  const [file, args] =
    inject === undefined ? [program, []] : [strace, ['-o', '/dev/null', '-e', `inject=${inject}`, program]];
  const env = {
    PATH: process.env.PATH,
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: container.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: folder,
  };
  return spawnSync(file, args, { env, input: JSON.stringify(config), encoding: 'utf8', timeout: 30_000 });
}

/** More than ADD sends or receives. */
const most = 14;

test.skipIf(cannot)('an answer that is lost leaves nothing, whichever it is', ({ host, container }) => {
  makePair(host, container);
  const before = snapshot();
  let failed = 0;
  for (let nth = 1; nth <= most; nth++) {
    const { status, stdout } = run('ADD', container, `recvfrom:error=ENOBUFS:when=${nth}`);
    if (status === 0) run('DEL', container);
    else failed++;
    expect(snapshot(), `answer ${nth} lost: ${stdout}`).toEqual(before);
    expect(stdout, `answer ${nth} lost`).not.toContain('could not undo');
    run('DEL', container);
    expect(snapshot(), `answer ${nth} lost, after DEL`).toEqual(before);
  }
  expect(failed).toBeGreaterThan(6);
});

test.skipIf(cannot)('an ADD killed at any of its messages is cleaned up by DEL', ({ host, container }) => {
  makePair(host, container);
  const before = snapshot();
  for (let nth = 1; nth <= most; nth++) {
    run('ADD', container, `sendto:signal=KILL:when=${nth}`);
    expect(run('DEL', container).status).toBe(0);
    expect(snapshot(), `killed at message ${nth}`).toEqual(before);
  }
});

test.skipIf(cannot)(
  'an ADD killed at any of its messages is cleaned up by GC, with its link or without',
  ({ host, container }) => {
    for (const survives of [true, false]) {
      for (let nth = 1; nth <= most; nth++) {
        makePair(host, container);
        run('ADD', container, `sendto:signal=KILL:when=${nth}`);
        if (!survives) host.sh('ip link del hv0');
        expect(run('GC', container, undefined, { 'cni.dev/valid-attachments': [] }).status).toBe(0);
        expect(host.sh('ip -br link show type ifb'), `killed at message ${nth}`).toBe('');
        if (survives) {
          expect(host.sh('tc qdisc show dev hv0'), `killed at message ${nth}`).not.toContain('ingress');
          host.sh('ip link del hv0');
        }
      }
    }
  },
);
