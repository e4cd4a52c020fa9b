/** Every plugin and the operator's tool in one executable, which is the one it is called as. */
import { main } from '@cni-ts/skeleton/main';
import { calledAs, findPlugin, toolName, unknownName } from './called-as.ts';

const name = calledAs(process.argv0);
const plugin = findPlugin(name);
if (plugin) {
  main(plugin, findPlugin);
} else if (name === toolName) {
  // Loaded only here: no plugin pays for the tool's command line.
  void import('@cni-ts/cli/main');
} else {
  process.stderr.write(`${unknownName(name)}\n`);
  process.exitCode = 1;
}
