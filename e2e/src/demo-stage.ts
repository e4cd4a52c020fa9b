/** What the demos begin with: a build, and namespaces of their own. */
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { emphasis } from './emphasis.ts';

const root = resolve(import.meta.dirname, '../..');
export const bin = join(root, 'dist/bin');
const { bold, cyan } = emphasis(process.stdout, process.env);

export { cyan };

export function title(text: string): void {
  console.log(`\n${bold(`== ${text}`)}`);
}

/** Ends the demo where it fails. */
export async function build(): Promise<void> {
  title('Build');
  const command = [join(root, 'tools/bundle/src/build.ts')];
  const { exitCode } = await execa('node', command, { cwd: root, stdio: 'inherit', reject: false });
  if (exitCode !== 0) process.exit(1);
}

/** Runs the file again with `--inside` in new namespaces, which are options of unshare(1), and ends as it does. Without root,
 *  in a user namespace as well. */
export async function enter(file: string, namespaces: readonly string[]): Promise<never> {
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? [] : ['--user', '--map-root-user'];
  const run = await execa('unshare', [...namespaces, ...user, process.execPath, file, '--inside'], {
    stdio: 'inherit',
    reject: false,
  });
  if (run.exitCode !== 0 && !isRoot) {
    console.error('The demo needs root, or a kernel that lets users make user and network namespaces.');
  }
  process.exit(run.exitCode ?? 1);
}
