import { Command } from '@cni-ts/libc/child';
import type { Scenario } from '../scenario.ts';

const nothing = new Command('/bin/true', [], {});

/** What a start costs and nothing else. */
export const version: Scenario = {
  name: 'version',
  title: 'VERSION',
  needs: ['bridge'],
  targets: { VERSION: 1.2 },
  round(host) {
    const ended = host.start(host.command('bridge', [], { CNI_COMMAND: 'VERSION' }), '').wait();
    if (!ended.stdout.includes('"supportedVersions"')) throw new Error(`VERSION answered ${ended.stdout}`);
    return [{ of: 'VERSION', unit: 'ms', value: ended.wall, cpu: ended.user + ended.system }];
  },
  /** An empty program. */
  floor: (host) => [{ of: 'VERSION', unit: 'ms', value: host.start(nothing, '').wait().wall }],
};
