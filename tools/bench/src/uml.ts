/** The bench in user-mode Linux, a kernel that has what a virtual machine's often lacks. Times there are several times as
 *  long as on a processor of one's own; what can be compared is the two sides. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { haveUml, runInUml } from '@cni-ts/workspace/uml';

/** Why it cannot be done here; undefined where it can. */
export function whyNoUml(): string | undefined {
  return haveUml() ? undefined : 'user-mode Linux is not installed: apt-get install user-mode-linux';
}

/** Runs the bench in there with these options, and shows what it printed; the exit status. `json`: where what was
 *  measured is written to. */
export async function benchInUml(
  root: string,
  options: readonly string[],
  json: string | undefined,
): Promise<number> {
  const results = mkdtempSync(join(tmpdir(), 'cni-bench-'));
  try {
    const program = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'bench.ts'),
    ];
    const words = [...program, ...options, '--json', '$RESULTS/bench.json'];
    const { status, output } = await runInUml(words.join(' '), {
      cwd: root,
      results,
      path: process.env.PATH ?? '',
      timeoutSeconds: 1800,
    });
    process.stdout.write(`${output}\n`);
    const measured = join(results, 'bench.json');
    if (json && existsSync(measured)) copyFileSync(measured, json);
    return status ?? 1;
  } finally {
    rmSync(results, { recursive: true });
  }
}
