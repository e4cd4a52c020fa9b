/** A copy of the workspace to try a contributor's commands in: its own sources, links to what is installed. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';

/** On the disk of the workspace, for links to its files. */
const cache = join(workspaceRoot, '.cache');

/** Makes it in a new folder; whoever calls removes that. It is a repository of its own with one commit. */
export function copyWorkspace(): string {
  mkdirSync(cache, { recursive: true });
  removeForgotten();
  const root = mkdtempSync(join(cache, 'copy-'));
  const files = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: workspaceRoot,
    encoding: 'utf8',
  });
  for (const file of files.split('\0')) {
    const from = join(workspaceRoot, file);
    // Deleted and not committed, or the end of the list.
    if (file === '' || !existsSync(from)) continue;
    mkdirSync(dirname(join(root, file)), { recursive: true });
    copyFileSync(from, join(root, file));
  }
  // Hard links, not symbolic ones: Node goes by where a file really is, and lets pure tests read none that lies elsewhere.
  execFileSync('cp', ['--archive', '--link', join(workspaceRoot, 'node_modules'), root]);
  // A file of its own, for it is written to. Newer than package-lock.json, as after an installation.
  const record = 'node_modules/.package-lock.json';
  rmSync(join(root, record));
  copyFileSync(join(workspaceRoot, record), join(root, record));
  linkDownloads(root);
  // What the compiler found in these sources, so that in the copy it looks at what is new and at what that concerns.
  const types = '.cache/types.tsbuildinfo';
  if (existsSync(join(workspaceRoot, types))) copyFileSync(join(workspaceRoot, types), join(root, types));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
      cwd: root,
      stdio: 'ignore',
    });
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message=copy', '--no-verify');
  return root;
}

/** What takes a download: the engine of the compiled program, and what tools/setup knows of the distribution. */
function linkDownloads(root: string): void {
  mkdirSync(join(root, '.cache'));
  for (const name of readdirSync(cache)) {
    if (/^quickjs-|^unpacked$|^lacking$/.test(name))
      symlinkSync(join(cache, name), join(root, '.cache', name));
  }
}

/** Copies of tests that were killed. Whose is in use is younger than an hour. */
function removeForgotten(): void {
  for (const name of readdirSync(cache)) {
    if (!name.startsWith('copy-')) continue;
    const found = statSync(join(cache, name), { throwIfNoEntry: false });
    if (found && Date.now() - found.mtimeMs > 3_600_000) removeCopy(join(cache, name));
  }
}

export function removeCopy(root: string): void {
  rmSync(root, { recursive: true, force: true });
}
