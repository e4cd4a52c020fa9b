/** Programs of our sources under Node, for tests that start them as processes. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const made = new Map<string, string>();
let folder: string | undefined;

/**
 * The command that runs this file of sources, and all it imports, under this Node. It is put together from the sources
 * once for a file of tests: to strip the types of a hundred files, each time the program starts, takes Node ten times as
 * long as all else that a plugin does (240 and 30 ms).
 */
export function sourceProgram(main: string): [file: string, ...args: string[]] {
  let file = made.get(main);
  if (file === undefined) {
    folder ??= mkdtempSync(join(process.env.CNI_TS_RUN_FOLDER ?? tmpdir(), 'sources-'));
    file = join(folder, `${made.size}.mjs`);
    buildSync({
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'esnext',
      charset: 'utf8',
      legalComments: 'none',
      logLevel: 'warning',
      // What is CommonJS asks for Node's own modules by `require`.
      banner: {
        js: "import { createRequire as _r } from 'node:module'; const require = _r(import.meta.url);",
      },
      entryPoints: [main],
      outfile: file,
    });
    made.set(main, file);
  }
  return [process.execPath, '--disable-warning=ExperimentalWarning', file];
}
