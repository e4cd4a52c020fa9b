/** bundle.ts ‹project root›: one package as one executable JavaScript file; what `nx build ‹project›` runs. */
import { relative, resolve } from 'node:path';
import { refuse } from '@cni-ts/setup/command-line';
import { bundlePackage } from './javascript.ts';
import { workspaceRoot } from './workspace.ts';

const folder = process.argv[2];
if (!folder)
  refuse('bundle.ts', 'which package? Its folder comes after it, such as packages/plugins/main/bridge');
const file = await bundlePackage(resolve(workspaceRoot, folder));
process.stdout.write(`${relative(workspaceRoot, file)}\n`);
