import type { Ended } from '@cni-ts/libc/program';
import { runProgram } from './programs.ts';

const path = process.env.PATH;

/** Runs a command by the shell and returns what it prints; a failure throws. It finds every program there is, whatever
 *  PATH the code under test is given. */
export function sh(command: string): string {
  return output(command, runProgram('/bin/sh', ['-ec', command], { ...process.env, PATH: path }, ''));
}

/** What a command printed; throws with what it said when it failed. */
export function output(command: string, { status, signal, stdout, stderr }: Ended): string {
  if (status === 0) return stdout;
  throw new Error(`${command}: ${signal ?? `exit status ${status}`}: ${stderr || stdout}`);
}

/** Writes a program that a test will start. By a process of its own: while another thread starts a program, that one has
 *  what is open here, and a file that somebody may write to cannot be started ("text file busy"). */
export function writeProgram(file: string, text: string): void {
  output(file, runProgram('/bin/sh', ['-ec', 'cat >"$0"; chmod 755 "$0"', file], { PATH: path }, text));
}
