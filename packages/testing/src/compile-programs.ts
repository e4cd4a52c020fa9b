/** Makes what the tests need in C, for where gcc would take long and its results be seen by nobody else: in user-mode
 *  Linux. */
import { globSync } from 'node:fs';
import { compiled } from './compiled.ts';

for (const source of globSync('*.c', { cwd: import.meta.dirname })) compiled(source.slice(0, -'.c'.length));
