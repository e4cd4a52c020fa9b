import { emptyProgram } from '../floor.ts';
import type { Scenario } from '../scenario.ts';

/** What a start costs and nothing else. */
export const version: Scenario = {
  name: 'version',
  title: 'VERSION',
  needs: ['bridge'],
  targets: { VERSION: 1.2 },
  round(host, calls) {
    calls.made('VERSION');
    const ended = host.start(host.command('bridge', [], { CNI_COMMAND: 'VERSION' }), '').wait();
    if (!ended.stdout.includes('"supportedVersions"')) {
      calls.failed('VERSION', new Error(`VERSION answered ${ended.stdout}${ended.stderr}`));
      return [];
    }
    return [{ of: 'VERSION', unit: 'ms', value: ended.wall, cpu: ended.user + ended.system }];
  },
  floor: (host) => [{ of: 'VERSION', unit: 'ms', value: emptyProgram(host) }],
};
