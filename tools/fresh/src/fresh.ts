/**
 * `npm run fresh -- bookworm|trixie [demo] [‹stage›…]`: does it work on a machine that has only Node 20, npm 11 and
 * apt? Makes one in a folder, clones what is committed here into it, and runs there the demo and the whole tests, or
 * what is named: `demo`, or stages of `npm test`. One closing line. All mounts are in namespaces of their own, and the
 * folder goes when it ends, also by a signal.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { commandLine, oneOf, refuse } from '@cni-ts/setup/command-line';
import { stageNames } from '@cni-ts/workspace/stages';
import { execa } from 'execa';
import { environmentFor, handOver } from './handed-over.ts';
import { freshCopy, ownNamespaces, releases, removeOwn } from './system.ts';

const command = 'npm run fresh';
const { positionals } = commandLine(command, { options: {}, allowPositionals: true });
const [word, ...more] = positionals;
if (word === undefined)
  refuse(command, `which release? npm run fresh -- ${releases.join('|')} [demo] [stage…]`);
const release = oneOf(command, 'release', word, releases);
const wanted = more.map((name) => oneOf(command, 'stage', name, ['demo', ...stageNames] as const));
if (process.getuid?.() !== 0)
  refuse(command, 'it needs root: it makes a file system of another release and enters it');

const say = (line: string) => void process.stdout.write(`fresh ${release}: ${line}\n`);
const started = performance.now();
let root = '';
let running: ReturnType<typeof spawn> | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // The kernel ends all of the namespace with its first process, and the mounts with the last one in it.
    running?.kill('SIGKILL');
    const end = () => {
      removeOwn();
      say(`stopped by ${signal}`);
      process.exit(128 + constants.signals[signal]);
    };
    if (running && running.exitCode === null && running.signalCode === null) running.once('close', end);
    else end();
  });
}

const environment = environmentFor(process.env);
const outcomes: string[] = [];
let failed = false;
try {
  root = await freshCopy(release, say);
  await handOver(root, environment);
  await cloneInto(join(root, 'root/cni-ts'));
  say(`Node ${await printed('node --version')}, npm ${await printed('npm --version')}, nothing else`);
  const stages = wanted.filter((name) => name !== 'demo');
  if (wanted.length === 0 || wanted.includes('demo')) await run('demo', 'npm run demo');
  if (wanted.length === 0 || stages.length > 0) await run('tests', `npm test -- ${stages.join(' ')}`);
} finally {
  removeOwn();
}
const minutes = ((performance.now() - started) / 60_000).toFixed(1);
say(`${outcomes.join('; ')} (${minutes} min)`);
process.exitCode = failed ? 1 : 0;

/** Runs a command in the clone, shows what it prints, and keeps its last line. */
async function run(what: string, shell: string): Promise<void> {
  say(shell);
  const { status, last } = await inside(shell, (chunk) => process.stdout.write(chunk));
  if (status !== 0) failed = true;
  const how = status === 0 ? 'passed' : `failed with exit status ${status}`;
  outcomes.push(what === 'tests' && /^\d+ passed/.test(last) ? `${what}: ${last}` : `${what} ${how}`);
}

/** What a command prints, which must succeed. */
async function printed(shell: string): Promise<string> {
  const { status, last } = await inside(shell, () => undefined);
  if (status !== 0) throw new Error(`${shell} failed in the fresh system: ${last}`);
  return last;
}

/** A shell command in the clone within the fresh system: its exit status, and the last line of what it printed. */
function inside(shell: string, show: (chunk: Buffer) => void): Promise<{ status: number; last: string }> {
  const variables = {
    HOME: '/root',
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...environment,
  };
  const [program = '', ...args] = [
    ...ownNamespaces,
    join(import.meta.dirname, '../enter'),
    root,
    ...['bash', '-c', `cd /root/cni-ts && ${shell}`],
  ];
  return new Promise((done, fail) => {
    const child = spawn(program, args, { env: variables, stdio: ['ignore', 'pipe', 'pipe'] });
    running = child;
    let tail = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        show(chunk);
        tail = (tail + chunk.toString()).slice(-4096);
      });
    }
    child.on('error', fail);
    child.on('close', (status) => {
      running = undefined;
      done({ status: status ?? 1, last: tail.trimEnd().split('\n').at(-1) ?? '' });
    });
  });
}

/** What is committed: a fresh clone is what everyone else gets. */
async function cloneInto(folder: string): Promise<void> {
  const git = async (...args: string[]) => (await execa('git', ['-C', workspaceRoot, ...args])).stdout;
  const commit = await git('rev-parse', 'HEAD');
  if (await git('status', '--porcelain')) say('what is not committed here is not tried');
  await execa('git', ['clone', '--quiet', '--no-hardlinks', '--no-checkout', workspaceRoot, folder]);
  await execa('git', ['-C', folder, 'checkout', '--quiet', '--detach', commit]);
}
