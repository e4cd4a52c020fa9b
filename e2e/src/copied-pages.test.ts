/** What was prepared when the program was built is shared by all calls, and a page of it that a call writes to is copied. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from '@cni-ts/testing/namespaces';
import { expect } from 'vitest';
import { ours } from './lab.ts';

/** Runs a program and tells how many pages it had to be given. */
const counting = `import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt)`;

test('an ADD copies few pages: none of QuickJS’s tables grows in it, which would touch all that they list', ({
  host,
  container,
}) => {
  const ipam = { type: 'host-local', subnet: '10.1.2.0/24', dataDir: `${host.dir}/networks` };
  const config = { cniVersion: '1.0.0', name: 'net1', type: 'bridge', isGateway: true, ipam };
  const pages = (command: string, containerId: string) => {
    const about = { CNI_CONTAINERID: containerId, CNI_NETNS: container.path, CNI_IFNAME: containerId };
    const output = execFileSync('python3', ['-c', counting, join(ours, 'bridge')], {
      input: JSON.stringify(config),
      env: { ...process.env, CNI_COMMAND: command, CNI_PATH: ours, ...about },
    });
    return Number(output);
  };
  pages('ADD', 'c1'); // reads the file in
  // 203 in November 2026, with 4 KiB pages; 337 where the table of shapes was doubled.
  expect(pages('ADD', 'c2') - pages('VERSION', 'c2')).toBeLessThan(270);
});
