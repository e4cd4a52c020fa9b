import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative } from 'node:path';
import type { Package } from '@cni-ts/bundle/workspace';

/** One import, require or re-export as a source file writes it. */
export interface Import {
  /** Relative to the package: src/bridge.ts. */
  readonly file: string;
  readonly specifier: string;
}

// Statement, dynamic import and require; `from` at the end of a statement over several lines, too. Text inside of a
// comment or string could match: none does in this repository, and the message would show it.
const patterns = [
  /^\s*(?:import|export)\s[^'"`;]*?from\s*'([^']+)'/gm,
  /^\s*import\s*'([^']+)'/gm,
  /\bimport\(\s*'([^']+)'\s*\)/g,
  /\brequire\(\s*'([^']+)'\s*\)/g,
];

/** All imports of a package's own TypeScript, without generator templates. */
export function importsOf({ folder }: Package): Import[] {
  return globSync('**/*.ts', { cwd: folder, exclude: ['**/node_modules/**', '**/templates/**'] })
    .filter((file) => !file.startsWith('node_modules/') && !file.includes('templates/'))
    .sort()
    .flatMap((file) => {
      const text = readFileSync(join(folder, file), 'utf8');
      const found = patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name = '']) => name));
      return [...new Set(found)].map((specifier) => ({ file, specifier }));
    });
}

/** The package a specifier belongs to: '@cni-ts/libc/netns' → '@cni-ts/libc'; undefined for files and for what is
 *  part of the engine. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || isBuiltin(specifier) || /^node:/.test(specifier)) return undefined;
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}

/** True for files that run in tests only. */
export function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || file.startsWith('test/');
}

/** True when a relative specifier leads out of the package. */
export function leavesPackage({ file, specifier }: Import, folder: string): boolean {
  return specifier.startsWith('.') && relative(folder, join(folder, file, '..', specifier)).startsWith('..');
}
