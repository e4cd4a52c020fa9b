/** Which plugins are ours: those of this very program, and those of another build of it. */

import { runToEnd } from '@cni-ts/libc/program';
import { isThisProgram } from '@cni-ts/libc/program-file';
import type { Environment } from '@cni-ts/libcni/environment';
import { ourPlugins } from './validate/plugin-types.ts';

/**
 * Tells of a program whether it is a plugin of ours, each asked once. Another build's is known by its answer to VALIDATE,
 * which every other plugin refuses as it refuses any command that the specification does not have; it is told of neither
 * container nor namespace, and one whose name none of ours has is not asked.
 */
export function kinship(env: Environment, self?: string): (program: string) => boolean {
  const known = new Map<string, boolean>();
  return (program) => {
    let isOurs = known.get(program);
    if (isOurs === undefined) {
      const type = program.slice(program.lastIndexOf('/') + 1);
      isOurs =
        ourPlugins.includes(type) && (isThisProgram(program, self) || answersAsOurs(program, type, env));
      known.set(program, isOurs);
    }
    return isOurs;
  };
}

function answersAsOurs(program: string, type: string, env: Environment): boolean {
  const asked = JSON.stringify({ cniVersion: '1.1.0', name: 'kin', type });
  try {
    const { status, stdout } = runToEnd(
      program,
      [],
      { PATH: env.PATH, CNI_COMMAND: 'VALIDATE', CNI_PATH: '/' },
      asked,
    );
    return status === 0 && Array.isArray(JSON.parse(stdout).findings);
  } catch {
    return false; // reason: what cannot be started, or prints no JSON, is none of ours
  }
}
