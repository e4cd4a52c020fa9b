/**
 * `npm run torture -- --seed N`: the executables under what a hostile world does to them, in network, mount and process
 * namespaces of its own, where all the machine's files can only be read. Every failure is a line with the seed and the
 * case's number, and a file with the calls that led to it.
 */
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { contentionPhase } from './phases/contention.ts';
import { crowdPhase } from './phases/crowd.ts';
import { killedPhase } from './phases/killed.ts';
import { mutatedPhase } from './phases/mutated.ts';
import { Report, say } from './report.ts';

const root = resolve(import.meta.dirname, '../../..');

const usage = `npm run torture -- [options]
  --seed N        whole number that decides all choices (of the clock)
  --bin FOLDER    the executables (dist/bin)
  --short         a short form, of about a minute
  --cases N       mutated configurations (6000)
  --kills N       signals at random moments (1000)
  --rounds N      rounds of 64 chains at once (20)
  --calls N       calls on one network, 16 at a time (2000)
  --from N        the first case and kill, to see one again: --only mutated --from 4711 --cases 1
  --only PHASE    one of mutated, killed, crowd, contention
  --minutes N     what has not been tried by then counts as a failure (45; short: 15)
  --out FOLDER    gets a file for each failure (a new folder in ${tmpdir()})
`;

const whole = { type: 'string' } as const;
const { values: options } = parseArgs({
  options: {
    seed: whole,
    cases: whole,
    kills: whole,
    rounds: whole,
    calls: whole,
    from: whole,
    minutes: whole,
    bin: { type: 'string', default: join(root, 'dist/bin') },
    only: { type: 'string' },
    out: { type: 'string' },
    short: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
  },
});

const phases = ['mutated', 'killed', 'crowd', 'contention'] as const;
if (options.only !== undefined && !(phases as readonly string[]).includes(options.only)) {
  throw new Error(`--only ${options.only}: there are ${phases.join(', ')}`);
}

function numberOf(
  name: 'seed' | 'cases' | 'kills' | 'rounds' | 'calls' | 'from' | 'minutes',
  or: number,
): number {
  const value = options[name];
  if (value === undefined) return or;
  if (!/^\d+$/.test(value)) throw new Error(`--${name} ${value}: must be a whole number`);
  return Number(value);
}

/**
 * Folders that plugins write to are new and empty, all others can only be read, whatever path a configuration names; the
 * workspace can, too, where it lies in one of the former. The
 * shell stays: it waits for the processes that lose their parent.
 */
const prepare = `
set -e
out=$1 bin=$2 own=$3; shift 3
for folder in /etc/cni /var/lib/cni; do [ -d $folder ] || mkdir -p $folder; done
mount -t tmpfs tmpfs /mnt; mkdir /mnt/out /mnt/bin /mnt/own
mount --bind "$out" /mnt/out; mount --bind "$bin" /mnt/bin; mount --bind "$own" /mnt/own
mount -o remount,bind,ro /mnt/bin; mount -o remount,bind,ro /mnt/own
mount -t tmpfs tmpfs /run; mkdir /run/netns /run/out /run/bin /run/own
for one in out bin own; do mount --move /mnt/$one /run/$one; done; umount /mnt
mount -t tmpfs tmpfs /etc/cni; mount -t tmpfs tmpfs /var/lib/cni; mount -t tmpfs tmpfs /tmp
[ -e "$own/package.json" ] || { mkdir -p "$own"; mount --move /run/own "$own"; }
mount -o remount,bind,ro / || echo 'the files of this machine could not be made read-only' >&2
cd /tmp
"$@"
`;

if (options.help) process.stdout.write(usage);
else if (options.inside) torture();
else await enter();

/** Starts this file again where nothing can be harmed; it ends with this process, however that ends. */
async function enter(): Promise<void> {
  const bin = resolve(options.bin);
  if (!existsSync(join(bin, 'bridge'))) throw new Error(`${bin} has no plugins: npm run build`);
  const seed = numberOf('seed', Date.now() % 1_000_000);
  const out = options.out === undefined ? mkdtempSync(join(tmpdir(), 'cni-torture-')) : resolve(options.out);
  mkdirSync(out, { recursive: true });
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
  const handed = (['cases', 'kills', 'rounds', 'calls', 'from', 'minutes', 'only'] as const).flatMap(
    (name) => (options[name] === undefined ? [] : [`--${name}`, options[name]]),
  );
  const { exitCode } = await execa(
    'setpriv',
    [
      ...[
        '--pdeathsig',
        'KILL',
        '--',
        'unshare',
        ...user,
        ...namespaces,
        'sh',
        '-c',
        prepare,
        'torture',
        out,
        bin,
        resolve(import.meta.dirname, '../../..'),
      ],
      ...[process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename, '--inside'],
      ...['--seed', String(seed), '--bin', '/run/bin', '--out', '/run/out'],
      ...(options.short ? ['--short'] : []),
      ...handed,
    ],
    { stdio: 'inherit', reject: false, env: { TORTURE_OUT: out, TORTURE_BIN: bin } },
  );
  process.exitCode = exitCode ?? 1;
}

function torture(): void {
  const { bin, short } = options;
  const [seed, from] = [numberOf('seed', 1), numberOf('from', 0)];
  const started = performance.now();
  const until = started + numberOf('minutes', short ? 15 : 45) * 60_000;
  const report = new Report(seed, options.out ?? '/run/out');
  const wants = (phase: (typeof phases)[number]) => (options.only ?? phase) === phase;
  say(`torture of ${process.env.TORTURE_BIN ?? bin}, seed ${seed}`);
  if (wants('mutated')) mutatedPhase(bin, report, numberOf('cases', short ? 400 : 6000), from, until);
  if (wants('killed')) killedPhase(bin, report, numberOf('kills', short ? 80 : 1000), from, until);
  if (wants('crowd')) crowdPhase(bin, report, numberOf('rounds', short ? 1 : 20), short ? 32 : 64, until);
  if (wants('contention')) contentionPhase(bin, report, numberOf('calls', short ? 200 : 2000), until);
  if (performance.now() > until) report.fail('time', 0, 'not everything was tried in the time given', []);
  const { passed, failed } = report.counts;
  if (failed > 0) say(`what led to each failure is in ${process.env.TORTURE_OUT}`);
  say(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
