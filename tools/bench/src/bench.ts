/**
 * `npm run bench [-- options]`: our plugins and the Go ones, on this machine, in one run, in network, mount and
 * process namespaces of its own; nothing of the machine's network is touched, and all is gone when it ends, however
 * it ends.
 */
import { existsSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { svgChart } from './chart.ts';
import { readAnew } from './fresh-programs.ts';
import { machine } from './machine.ts';
import { page } from './page.ts';
import { fetchPeers } from './peers.ts';
import type { Report, Row } from './report.ts';
import { missing, runScenario, type Sides } from './run.ts';
import { chosen, scenarios } from './scenarios.ts';
import { notes, textTable } from './table.ts';

const root = resolve(import.meta.dirname, '../../..');

const usage = `npm run bench [-- options]
  --only NAME[,NAME…]  these scenarios, or all whose names begin so: ${scenarios.map(({ name }) => name).join(', ')}
  --rounds N           rounds of each side in alternating order (20)
  --quick              5 rounds
  --ours FOLDER        our executables (dist/bin)
  --theirs FOLDER      the plugins to compare with (Debian's newest Go plugins, fetched); "none": ours alone
  --json FILE          writes what was measured
  --svg FILE           writes a chart of it
  --publish            writes docs/bench.json, docs/bench.svg and docs/bench.md
`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    ours: { type: 'string', default: join(root, 'dist/bin') },
    theirs: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
    publish: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
  },
});
const asked = options.only.flatMap((names) => names.split(','));
const rounds = Number(options.rounds ?? (options.quick ? 5 : 20));
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--rounds ${options.rounds}: must be a whole number`);

if (options.help) process.stdout.write(usage);
else if (options.inside) measure();
else await enter();

/** Starts this file again where nothing can be harmed. It ends with this process, however that ends: the first process
 *  of a process namespace takes no notice of Ctrl-C, but the kernel ends `unshare` for its parent's end, and all of
 *  the namespace for unshare's. */
async function enter(): Promise<void> {
  chosen(asked);
  const ours = resolve(options.ours);
  if (!existsSync(join(ours, 'bridge'))) throw new Error(`${ours} has no plugins: npm run build`);
  const theirs = options.theirs ?? (await fetchPeers(join(root, '.cache/peers')));
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const namespaces = [
    '--mount',
    '--net',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--propagation',
    'private',
  ];
  const prepare = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$0" "$@"';
  const run = await execa(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', '--', 'unshare'],
      ...[...user, ...namespaces, 'sh', '-c', prepare],
      ...[process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename, '--inside'],
      ...[
        '--rounds',
        String(rounds),
        '--ours',
        ours,
        '--theirs',
        theirs === 'none' ? theirs : resolve(theirs),
      ],
      ...asked.flatMap((name) => ['--only', name]),
    ],
    { stdio: ['inherit', 'inherit', 'inherit', 'pipe'], reject: false },
  );
  process.exitCode = run.exitCode ?? 1;
  if (run.exitCode !== 0) return;
  const report = JSON.parse(String(run.stdio[3])) as Report; // reason: written by `measure` below
  if (options.json) write(options.json, jsonText(report));
  if (options.svg) write(options.svg, svgChart(report.rows, report.machine));
  if (!options.publish) return;
  write(join(root, 'docs/bench.json'), jsonText(report));
  write(join(root, 'docs/bench.svg'), svgChart(report.rows, report.machine));
  write(join(root, 'docs/bench.md'), page(report));
}

function write(file: string, text: string): void {
  writeFileSync(file, text);
  say(`wrote ${file}`);
}

function jsonText(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

function measure(): void {
  const sides: Sides = {
    ours: { name: 'ours', folder: options.ours },
    theirs: options.theirs === 'none' ? undefined : { name: 'theirs', folder: options.theirs ?? '' },
  };
  const rows: Row[] = [];
  const leftOut: string[] = [];
  say(machine());
  for (const scenario of chosen(asked)) {
    const lacking = missing(scenario, sides);
    if (lacking.length > 0) {
      leftOut.push(`${scenario.title} (not built: ${lacking.join(', ')})`);
      say(`left out: ${leftOut.at(-1)}`);
      continue;
    }
    for (const side of [sides.ours, sides.theirs]) if (side) readAnew(side.folder);
    const started = performance.now();
    rows.push(...runScenario(scenario, sides, rounds));
    say(`measured: ${scenario.title} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  }
  const report: Report = { machine: machine(), rounds, rows, leftOut };
  process.stdout.write(`\n${[textTable(rows), '', ...notes(report), report.machine].join('\n')}\n`);
  writeSync(3, JSON.stringify(report));
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
