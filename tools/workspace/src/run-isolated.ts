/** run-isolated.ts COMMAND…: a command as `npm test` runs its tests, away from the machine's network and settings; what
 *  `npx nx test ‹project›` runs. Where namespaces are not to be had, without: some tests need none. */
import { spawnSync } from 'node:child_process';
import { isolated } from './isolated.ts';

const before = isolated(process.getuid?.());
const [program = '', ...args] = before;
const possible = spawnSync(program, [...args, 'true'], { stdio: 'ignore' }).status === 0;
const [command = '', ...rest] = [...(possible ? before : []), ...process.argv.slice(2)];
const { status, error } = spawnSync(command, rest, { stdio: 'inherit' });
if (error) throw error;
process.exitCode = status ?? 1;
