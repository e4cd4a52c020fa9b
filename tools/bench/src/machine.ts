import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

/** The machine in one line: figures mean nothing without. */
export function machine(): string {
  const all = cpus();
  const model = all[0]?.model.trim() ?? 'unknown processor';
  const memory = Math.round(totalmem() / 2 ** 30);
  const day = new Date().toISOString().slice(0, 10);
  return `${model}, ${all.length} cores, ${memory} GiB, Linux ${release()}, ${system()}, ${day}`;
}

function system(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown system';
  } catch {
    return 'unknown system'; // the file is optional
  }
}
