/** bundle.ts ‹project root›: one package as one executable JavaScript file; what `nx build ‹project›` runs. */
import { resolve } from 'node:path';
import { refuse } from '@cni-ts/setup/command-line';
import { bundlePackages, bundlePath } from './javascript.ts';
import { workspaceRoot } from './workspace.ts';

const folder = process.argv[2];
if (!folder)
  refuse('bundle.ts', 'which package? Its folder comes after it, such as packages/plugins/main/bridge');
const path = resolve(workspaceRoot, folder);
await bundlePackages([path]);
process.stdout.write(`${bundlePath(path)}\n`);
