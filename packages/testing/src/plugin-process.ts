import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { sourceProgram } from './source-program.ts';

/**
 * A folder with executables: with it in the environment the tests of a plugin call these, by the protocol, instead of
 * the sources. Failures of the kernel and signals then come by `fault`, not by hooks in the sources.
 */
export const executables = process.env.CNI_TS_EXECUTABLES;

/** A plugin as a program with its arguments: the executable, or its sources under this Node. */
export function programOf({ type }: Plugin): [file: string, ...args: string[]] {
  if (executables !== undefined) return [join(executables, type)];
  return sourceProgram(createRequire(import.meta.url).resolve(`@cni-ts/${type}/main`));
}
