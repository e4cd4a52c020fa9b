/**
 * `npm run cluster-rig -- --seed N`: three members of etcd and many nodes, each with its own namespaces, disk and agent, under
 * load and under everything that may befall them; then the history is held against the invariants. Nothing of the machine's
 * own network is touched.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { commandLine, Failure, oneOf } from '@cni-ts/setup/command-line';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { execa } from 'execa';
import { root } from './product.ts';
import { published, type RunReport, text, together } from './report.ts';
import { run } from './run.ts';
import { sabotages } from './sabotage.ts';

const command = 'npm run cluster-rig';
const usage = `${command} -- [options]
  --nodes N       nodes, each with an agent (50; short: 5)
  --adds N        answered ADDs to reach in the trial (100000; short: 500)
  --seed N        whole number that decides all choices (of the clock)
  --minutes N     the trial ends after so long, and each fault has to be tried by then (40; short: 4)
  --short         a short form, of about two minutes, without figures
  --fault NAME    only faults whose name has this; several times: each of them
  --no-figures    nothing is measured
  --sabotage NAME something is made wrong on purpose; the run must find it: ${Object.keys(sabotages).join(', ')}
  --publish       what was found goes into docs/cluster.md and docs/cluster.json; without figures beside what is there
  --bin FOLDER    the executables (dist/bin)
  --out FOLDER    gets logs, history and report (a new folder in ${tmpdir()})
`;

const whole = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;
const { values: options } = commandLine(command, {
  options: {
    ...{ nodes: whole, adds: whole, seed: whole, minutes: whole, sabotage: whole, out: whole },
    fault: { type: 'string', multiple: true },
    bin: { type: 'string', default: join(root, 'dist/bin') },
    ...{ short: flag, 'no-figures': flag, publish: flag, help: flag, inside: flag },
  },
});

function numberOf(name: 'nodes' | 'adds' | 'seed' | 'minutes', or: number): number {
  const value = options[name];
  if (value === undefined) return or;
  if (!/^\d+$/.test(value)) throw new Failure(`--${name} ${value}: must be a whole number`);
  return Number(value);
}

/** The rig's mounts: what plugins and agents write to is new and empty on each node, and nobody sees the machine's. */
const prepare = `
set -e
[ ! -d /etc/cni ] || mount -t tmpfs tmpfs /etc/cni
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/cni-ts
"$@"
`;

if (options.help) process.stdout.write(usage);
else if (options.inside) await inside();
else await enter();

/** Starts this file again in namespaces of its own; all in them ends with this process, however that ends. */
async function enter(): Promise<void> {
  const { sabotage } = options;
  if (sabotage !== undefined) oneOf(command, 'sabotage', sabotage, Object.keys(sabotages));
  if (etcdProgram() === undefined) throw new Failure('there is no etcd: the package etcd-server has it');
  const needed = [join(options.bin, 'cluster-pool'), join(root, 'dist/js/cluster-agent.js')];
  for (const file of needed) if (!existsSync(file)) throw new Failure(`there is no ${file}: npm run build`);
  const out = options.out === undefined ? mkdtempSync(join(tmpdir(), 'cni-cluster-')) : resolve(options.out);
  mkdirSync(out, { recursive: true });
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const namespaces = '--mount --net --pid --fork --kill-child --mount-proc --propagation private'.split(' ');
  const { exitCode } = await execa(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', '--', 'unshare', ...user, ...namespaces, 'sh', '-c', prepare, 'cluster-rig'],
      ...[process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename],
      ...process.argv.slice(2),
      ...['--inside', '--out', out, '--seed', String(numberOf('seed', Date.now() % 1_000_000))],
    ],
    { stdio: 'inherit', reject: false },
  );
  process.exitCode = exitCode ?? 1;
  // Where all went well nobody looks for what it wrote.
  if (exitCode === 0 && options.out === undefined) rmSync(out, { recursive: true, force: true });
  else process.stdout.write(`logs and history are in ${out}\n`);
}

async function inside(): Promise<void> {
  const { short, sabotage, publish, out = '' } = options;
  const report = await run({
    seed: numberOf('seed', 1),
    nodes: numberOf('nodes', short ? 5 : 50),
    adds: numberOf('adds', short ? 500 : 100_000),
    minutes: numberOf('minutes', short ? 4 : 40),
    ...{ bin: resolve(options.bin), out, sabotage },
    patience: short ? 0.15 : 1,
    // It runs beside other tests.
    rest: short ? 0.1 : 0,
    figures: short || options['no-figures'] ? undefined : { adds: 50_000, rounds: 1000, sharedSeconds: 30 },
    faults: options.fault,
  });
  process.stdout.write(`${text(report)}\n`);
  const { violations, complaints } = report;
  if (publish) {
    const page = join(root, 'docs/cluster.md');
    const kept = join(root, 'docs/cluster.json');
    // reason: the file is what this program wrote
    const reports = together(JSON.parse(readFileSync(kept, 'utf8')) as RunReport[], report);
    writeFileSync(page, published(readFileSync(page, 'utf8'), reports));
    writeFileSync(kept, `${JSON.stringify(reports, undefined, 2)}\n`);
  }
  if (sabotage !== undefined) {
    const wanted = sabotages[sabotage]?.finds;
    const found = violations.some(({ invariant }) => invariant === wanted);
    process.stdout.write(`sabotage ${sabotage}: ${found ? 'found' : 'NOT FOUND'}, as ${wanted}\n`);
    process.exit(found ? 0 : 1);
  }
  process.exit(violations.length + complaints.length > 0 ? 1 : 0);
}
