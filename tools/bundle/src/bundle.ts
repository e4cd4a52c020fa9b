/** bundle.ts ‹project root›: one package as one executable JavaScript file; what `nx build ‹project›` runs. */
import { relative, resolve } from 'node:path';
import { bundlePackage } from './javascript.ts';
import { workspaceRoot } from './workspace.ts';

const folder = process.argv[2];
if (!folder)
  throw new Error(
    'usage: node tools/bundle/src/bundle.ts ‹project root, such as packages/plugins/main/bridge›',
  );
const file = await bundlePackage(resolve(workspaceRoot, folder));
process.stdout.write(`${relative(workspaceRoot, file)}\n`);
