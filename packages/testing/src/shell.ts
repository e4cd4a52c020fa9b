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

/** Writes a program that a test will start. By a process of its own: while another thread starts a program, that one has
 *  what is open here, and a file that somebody may write to cannot be started ("text file busy"). */
export function writeProgram(file: string, text: string): void {
  execFileSync('sh', ['-ec', 'cat >"$0"; chmod 755 "$0"', file], { input: text, env: { PATH: path } });
}
