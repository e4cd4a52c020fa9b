import { type CnitoolIo, cnitool } from '../src/cnitool.ts';

/** Runs the tool in this process: its exit status, and what an operator sees. */
export async function runCnitool(argv: readonly string[], io: Omit<CnitoolIo, 'stdout' | 'stderr'>) {
  let [stdout, stderr] = ['', ''];
  const status = await cnitool(argv, {
    ...io,
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
  });
  return { status, stdout, stderr };
}
