/** Patches of sources, as `diff -u` writes them: applied here, since a slim machine has no patch(1). */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const file = /^\+\+\+ (?:[^/\s]+)\/(\S+)/;
const hunk = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/;

/**
 * Applies a patch to the files in `folder`; paths are without their first part. What a hunk replaces must be there to
 * the letter, wherever in the file it has moved to. Throws an error that names the file and the line otherwise.
 */
export function applyPatch(folder: string, patch: string): void {
  const lines = patch.split('\n');
  let path = '';
  for (let at = 0; at < lines.length; ) {
    const line = lines[at++] ?? '';
    path = file.exec(line)?.[1] ?? path;
    const head = hunk.exec(line);
    if (!head) continue;
    const [before, after]: [string[], string[]] = [[], []];
    let [old, fresh] = [Number(head[2] ?? 1), Number(head[3] ?? 1)];
    while (old > 0 || fresh > 0) {
      const text = lines[at++];
      if (text === undefined) throw new Error(`the patch of ${path} ends within line ${head[1]}`);
      if (text.startsWith('\\')) continue; // "No newline at end of file"
      // An empty line of context may have lost its blank.
      if (!text.startsWith('+')) {
        before.push(text.slice(1));
        old--;
      }
      if (!text.startsWith('-')) {
        after.push(text.slice(1));
        fresh--;
      }
    }
    replace(join(folder, path), before, after, Number(head[1]) - 1);
  }
}

function replace(path: string, before: readonly string[], after: readonly string[], near: number): void {
  const lines = readFileSync(path, 'utf8').split('\n');
  let best = -1;
  for (let start = 0; start + before.length <= lines.length; start++) {
    if (best >= 0 && Math.abs(start - near) >= Math.abs(best - near)) continue;
    if (before.every((line, i) => lines[start + i] === line)) best = start;
  }
  if (best < 0) throw new Error(`a patch does not fit ${path} at line ${near + 1}`);
  lines.splice(best, before.length, ...after);
  writeFileSync(path, lines.join('\n'));
}
