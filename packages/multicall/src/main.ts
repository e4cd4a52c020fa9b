/** Every plugin and the operator's tool in one executable, which is the one it is called as. */
import { main } from '@cni-ts/skeleton/main';
import { specVersions } from '@cni-ts/skeleton/released-versions';
import { calledAs, findPlugin, isPlugin, toolName, unknownName } from './called-as.ts';
import { runTool } from './tool-process.ts';

/** Serves the call this process was started for. */
export function run(): void {
  const name = calledAs(process.argv0);
  if (!isPlugin(name)) {
    if (name === toolName) runTool();
    else {
      process.stderr.write(`${unknownName(name)}\n`);
      process.exitCode = 1;
    }
  } else if (process.env.CNI_COMMAND === 'VERSION') {
    // Runtimes ask this of every plugin, and the answer is the same for all of ours: nothing else need be touched.
    process.stdout.write(`${JSON.stringify({ cniVersion: '1.1.0', supportedVersions: specVersions })}\n`);
  } else {
    const plugin = findPlugin(name);
    if (plugin) main(plugin, findPlugin);
  }
}
