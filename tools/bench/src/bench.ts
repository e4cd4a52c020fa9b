/**
 * `npm run bench [-- options]`: our plugins and the Go ones, on this machine, in one run, in network, mount and
 * process namespaces of its own; nothing of the machine's network is touched, and all is gone when it ends, however
 * it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, existsSync, constants as fileMode, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { commandLine, refuse } from '@cni-ts/setup/command-line';
import type { Floor } from './busy.ts';
import { svgChart } from './chart.ts';
import { readAnew } from './fresh-programs.ts';
import { frontChart } from './front-chart.ts';
import { machine } from './machine.ts';
import { page } from './page.ts';
import { fetchPeers, peersVersion } from './peers.ts';
import type { Report, Row } from './report.ts';
import { missing, runScenario, type Sides } from './run.ts';
import { chosen, scenarios } from './scenarios.ts';
import { notes, textTable } from './table.ts';
import { benchInUml, whyNoUml } from './uml.ts';

const root = resolve(import.meta.dirname, '../../..');

const usage = `npm run bench [-- options]
  --only NAME[,NAME…]  these scenarios, or all whose names begin so: ${scenarios.map(({ name }) => name).join(', ')}
  --rounds N           rounds of each side in alternating order (20)
  --quick              5 rounds
  --ours FOLDER        our executables (dist/bin)
  --theirs FOLDER      the plugins to compare with (Debian's newest Go plugins, fetched); "none": ours alone
  --json FILE          writes what was measured, after each scenario (.cache/bench.json has the last run)
  --svg FILE           writes a chart of it, likewise
  --uml                in user-mode Linux, which has kinds of links that this kernel may lack: for ratios, not for times
  --publish            writes docs/bench.{json,svg,md} and docs/speed.svg when all is measured
`;

const command = 'npm run bench';
const { values: options } = commandLine(command, {
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    ours: { type: 'string', default: join(root, 'dist/bin') },
    theirs: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
    uml: { type: 'boolean', default: false },
    publish: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
  },
});
/** By which signal the run was ended. */
let stopped: NodeJS.Signals | undefined;

const asked = options.only.flatMap((names) => names.split(','));
const rounds = Number(options.rounds ?? (options.quick ? 5 : 20));
if (!Number.isInteger(rounds) || rounds < 1)
  refuse(command, `--rounds ${options.rounds}: must be a whole number`);

if (options.help) process.stdout.write(usage);
else if (options.inside) measure();
else if (options.uml) await inUml();
else await enter();

/** What is wrong with the options, before anything is measured; the scenarios that they choose. */
function checked() {
  for (const name of ['json', 'svg'] as const) {
    const file = options[name];
    if (file && !existsSync(dirname(resolve(file)))) {
      refuse(command, `--${name} ${file}: there is no folder ${dirname(resolve(file))}`);
    }
  }
  if (!existsSync(join(options.ours, 'bridge')))
    refuse(command, `${options.ours} has no plugins: npm run build`);
  // A folder without one of them is a reason to leave scenarios out.
  if (options.theirs && options.theirs !== 'none' && !existsSync(options.theirs)) {
    refuse(command, `--theirs ${options.theirs}: there is no such folder`);
  }
  try {
    return chosen(asked);
  } catch (error) {
    return refuse(command, error instanceof Error ? error.message : String(error)); // it tells which there are
  }
}

/** The same in another kernel, with what is needed there fetched before. */
async function inUml(): Promise<void> {
  const lacking = whyNoUml();
  if (lacking) refuse(command, `--uml: ${lacking}`);
  if (options.publish) refuse(command, '--uml: what is measured there is not published');
  checked();
  const theirs = options.theirs ?? (await fetchPeers(join(root, '.cache/peers')));
  const words = [
    ...['--rounds', String(rounds), '--ours', resolve(options.ours)],
    ...['--theirs', theirs === 'none' ? theirs : resolve(theirs)],
    ...asked.flatMap((name) => ['--only', name]),
  ];
  process.exitCode = await benchInUml(root, words, options.json && resolve(options.json));
}

/** Starts this file again where nothing can be harmed, and writes what it measures as it comes. It ends with this
 *  process, however that ends: the first process of a process namespace takes no notice of Ctrl-C, but the kernel ends
 *  `unshare` for its parent's end, and all of the namespace for unshare's. */
async function enter(): Promise<void> {
  const wanted = checked().length;
  const ours = resolve(options.ours);
  const theirs = options.theirs ?? (await fetchPeers(join(root, '.cache/peers')));
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const prepare = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$0" "$@"';
  const run = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', '--', 'unshare'],
      ...[...user, ...namespaces, '--propagation', 'private', 'sh', '-c', prepare],
      ...[process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename, '--inside'],
      ...['--rounds', String(rounds), '--ours', ours],
      ...['--theirs', theirs === 'none' ? theirs : resolve(theirs)],
      ...asked.flatMap((name) => ['--only', name]),
    ],
    { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] },
  );
  let report: Report | undefined;
  const files = [...lastRun(), ...(options.json ? [options.json] : [])];
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(run, signal));
  // reason: the fourth of the streams above is a pipe that the child writes to
  for await (const line of createInterface({ input: run.stdio[3] as Readable })) {
    report = JSON.parse(line) as Report; // reason: written by `measure` below
    for (const file of files) replace(file, jsonText(report));
    if (options.svg) replace(options.svg, svgChart(report.rows, report.machine, report.peers));
  }
  const status = await ended(run);
  process.exitCode = stopped ? 128 + constants.signals[stopped] : status;
  if (!report) return;
  const texts = [textTable(report.rows, report.floors), '', ...notes(report), report.peers, report.machine];
  process.stdout.write(`\n${texts.filter((text) => text !== undefined).join('\n')}\n`);
  const done = report.done ?? 0;
  if (done < wanted) say(`stopped after ${done} of ${wanted} scenarios`);
  for (const file of [...files, ...(options.svg ? [options.svg] : [])]) say(`wrote ${file}`);
  if (!options.publish) return;
  if (status !== 0) {
    say('not published: a run that failed has not measured everything');
    return;
  }
  write(join(root, 'docs/bench.json'), jsonText(report));
  write(join(root, 'docs/bench.svg'), svgChart(report.rows, report.machine, report.peers));
  write(join(root, 'docs/bench.md'), page(report));
  write(join(root, 'docs/speed.svg'), frontChart(report));
}

/** Where the last run is written to: nowhere on a tree that is read-only, as in user-mode Linux. */
function lastRun(): string[] {
  const folder = join(root, '.cache');
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, fileMode.W_OK);
    return [join(folder, 'bench.json')];
  } catch (error) {
    if (errnoOf(error) === 'EROFS') return [];
    throw error;
  }
}

function stop(run: ChildProcess, signal: NodeJS.Signals): void {
  stopped = signal;
  run.kill('SIGKILL');
}

/** Its exit status; 1 for one that a signal ended. */
function ended(run: ChildProcess): Promise<number> {
  if (run.exitCode !== null || run.signalCode !== null) return Promise.resolve(run.exitCode ?? 1);
  return new Promise((done) => run.once('exit', (status) => done(status ?? 1)));
}

function write(file: string, text: string): void {
  writeFileSync(file, text);
  say(`wrote ${file}`);
}

/** In one step: at no moment is the file half of one. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

function jsonText(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** Runs the scenarios; writes the report as one line after each. What the bench cannot do in one of them, or finds
 *  wrong, makes it fail in the end, and the others are measured all the same. */
function measure(): void {
  const sides: Sides = {
    ours: { name: 'ours', folder: options.ours },
    theirs: options.theirs === 'none' ? undefined : { name: 'theirs', folder: options.theirs ?? '' },
  };
  const peers = sides.theirs && peersVersion(sides.theirs.folder);
  const rows: Row[] = [];
  const floors: Floor[] = [];
  const leftOut: string[] = [];
  let done = 0;
  say([machine(), ...(peers ? [peers] : [])].join('; '));
  for (const scenario of chosen(asked)) {
    const lacking = missing(scenario, sides);
    if (lacking.length > 0) {
      leftOut.push(`${scenario.title} (${lacking.join(', ')})`);
      say(`left out: ${leftOut.at(-1)}`);
    } else {
      for (const side of [sides.ours, sides.theirs]) if (side) readAnew(side.folder);
      const started = performance.now();
      try {
        const measured = runScenario(scenario, sides, rounds);
        rows.push(...measured.rows);
        if (measured.floor) floors.push(measured.floor);
        for (const wrong of new Set(measured.wrong)) fail(`${scenario.title}: ${wrong}`);
        say(`measured: ${scenario.title} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        leftOut.push(`${scenario.title} (not to its end: ${said})`);
        fail(said);
      }
    }
    done++;
    const report: Report = {
      machine: machine(),
      ...(peers && { peers }),
      rounds,
      rows,
      leftOut,
      floors,
      done,
    };
    writeFileSync(3, `${JSON.stringify(report)}\n`);
  }
}

function fail(why: string): void {
  say(`FAILED: ${why}`);
  process.exitCode = 1;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
