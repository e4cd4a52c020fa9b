import { execFileSync } from 'node:child_process';

const path = process.env.PATH;

/** Runs a command by the shell and returns what it prints; a failure throws. It finds every program there is, whatever
 *  PATH the code under test is given. */
export function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: path },
  });
}
