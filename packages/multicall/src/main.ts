/** Every plugin and the operator's tool in one executable, which is the one it is called as. */
import { main } from '@cni-ts/skeleton/main';
import { newestVersion, specVersions } from '@cni-ts/spec/released-versions';
import { calledAs, findPlugin, isPlugin, toolName, unknownName } from './called-as.ts';
import { survivingName } from './surviving-name.ts';
import { runTool } from './tool-process.ts';

/** Serves the call this process was started for. */
export function run(): void {
  const called = calledAs(process.argv0);
  if (isPlugin(called) || called === toolName) serve(called);
  else {
    const name = survivingName(process.argv0);
    if (name === undefined) refuse(called);
    else serve(name);
  }
}

/** As one of the program's names. */
function serve(name: string): void {
  if (name === toolName) runTool();
  else if (process.env.CNI_COMMAND === 'VERSION') {
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
function refuse(called: string): void {
  const { msg, details } = unknownName(called);
  const internal = 999;
  if (process.env.CNI_COMMAND) {
    process.stdout.write(JSON.stringify({ code: internal, msg, details }, undefined, 4));
  } else process.stderr.write(`${msg}: ${details}\n`);
  process.exitCode = 1;
}
