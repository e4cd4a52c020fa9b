import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';

const importLine = "import * as z from 'zod/mini';";
/** What stands in for zod until something of it is called for. */
const standIn = 'cni-ts:lazy-zod';
/** The entry point that is zod itself. */
export const zodEntry = 'cni-ts:zod';
const zodFile = './zod.cjs';

/**
 * For esbuild: zod is a file of the program of its own, loaded when the first schema is built. Nearly always none is,
 * because configurations that are as they should be are read by their compiled shapes. The file has what our sources
 * use of zod: all of it would be ten times as much.
 */
export function lazyZod(root: string): Plugin {
  return {
    name: 'lazy-zod',
    setup(build) {
      build.onLoad({ filter: /[/\\]packages[/\\].*[/\\]src[/\\].*\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        if (!text.includes(importLine)) return undefined;
        return { contents: text.replace(importLine, `import { z } from '${standIn}';`), loader: 'ts' };
      });
      build.onResolve({ filter: /^cni-ts:/ }, ({ path }) => ({ path, namespace: 'zod' }));
      build.onLoad({ filter: /^cni-ts:lazy-zod$/, namespace: 'zod' }, () => ({
        contents: `export const z = new Proxy({}, { get: (_, name) => require('${zodFile}')[name] });`,
        loader: 'js',
      }));
      build.onResolve({ filter: /^\.\/zod\.cjs$/, namespace: 'zod' }, ({ path }) => ({
        path,
        external: true,
      }));
      build.onLoad({ filter: /^cni-ts:zod$/, namespace: 'zod' }, () => ({
        contents: `export { ${usedOfZod(root).join(', ')} } from 'zod/mini';`,
        resolveDir: root,
        loader: 'js',
      }));
    },
  };
}

/** Names after `z.` that are called in our sources. */
function usedOfZod(root: string): string[] {
  const used = new Set<string>();
  for (const file of globSync('packages/**/src/**/*.ts', { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8');
    if (!text.includes(importLine)) continue;
    for (const [, name = ''] of text.matchAll(/\bz\s*\.(\w+)\(/g)) used.add(name);
  }
  return [...used].sort();
}
