/** Which of its names a program was called by, and serving the call as that. */
import { main } from '@cni-ts/skeleton/main';
import { newestVersion, specVersions } from '@cni-ts/spec/released-versions';
import {
  calledAs,
  findPlugin,
  isPlugin,
  pluginNames,
  toolName,
  toolNames,
  unknownName,
} from './called-as.ts';
import { survivingName } from './surviving-name.ts';

/** Serves the call this process was started for: as a plugin, or by `tool` in the program that has it. */
export function serve(tool?: () => void): void {
  const called = calledAs(process.argv0);
  if (isPlugin(called)) servePlugin(called);
  else if (tool && called === toolName) tool();
  else {
    const names = tool ? toolNames() : pluginNames();
    const name = survivingName(process.argv0, names);
    if (name === undefined) refuse(called, names);
    else if (tool && name === toolName) tool();
    else servePlugin(name);
  }
}

function servePlugin(name: string): void {
  if (process.env.CNI_COMMAND === 'VERSION') {
    // Runtimes ask this of every plugin, and the answer is the same for all of ours: nothing else need be touched.
    process.stdout.write(
      `${JSON.stringify({ cniVersion: newestVersion, supportedVersions: specVersions })}\n`,
    );
  } else {
    const plugin = findPlugin(name);
    if (plugin) main(plugin, findPlugin);
  }
}

/** A runtime reads JSON on stdout (CNI specification, section 5, "Error"), somebody at a shell what stderr says. */
function refuse(called: string, names: readonly string[]): void {
  const { msg, details } = unknownName(called, names);
  const internal = 999;
  if (process.env.CNI_COMMAND) {
    process.stdout.write(JSON.stringify({ code: internal, msg, details }, undefined, 4));
  } else process.stderr.write(`${msg}: ${details}\n`);
  process.exitCode = 1;
}
