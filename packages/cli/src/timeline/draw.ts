/** Calls as bars: one row for each span and step, below one another as they are within each other. */
import { grouped } from '../grouped.ts';
import type { LoggedSpan } from './read-log.ts';

interface Row {
  readonly depth: number;
  readonly name: string;
  readonly start: number;
  readonly duration: number;
  readonly error: string | undefined;
  /** A call, which has a row however short it is. */
  readonly isCall: boolean;
}

const columns = 40;
/** Names longer than that are cut. */
const widest = 60;
/** What is shorter than that share of the whole is not worth a row, unless it failed. */
const least = 0.005;

/** One block for each trace, in the order in which they began. */
export function drawTraces(spans: readonly LoggedSpan[]): string {
  return [...grouped(spans, ({ traceId }) => traceId).values()].map(drawTrace).join('\n');
}

function drawTrace(spans: readonly LoggedSpan[]): string {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentId = '' }) => !ids.has(parentId));
  const start = Math.min(...spans.map((one) => one.start));
  const total = Math.max(...spans.map((one) => one.start + one.duration)) - start;
  const rows = roots
    .flatMap((one) => rowsOf(one, spans, 0))
    .filter(({ duration, error, isCall }) => isCall || error !== undefined || duration >= total * least);
  const width = Math.min(widest, Math.max(...rows.map(({ depth, name }) => 2 * depth + name.length)));
  const head = `trace ${spans[0]?.traceId ?? ''} at ${new Date(start / 1000).toISOString()}`;
  return `${head}\n${rows.map((row) => drawRow(row, width, start, total)).join('')}`;
}

/** A plugin's run and what the plugin itself says of it are one row; a delegate stands where it was called. */
function rowsOf(span: LoggedSpan, all: readonly LoggedSpan[], depth: number): Row[] {
  const children = all.filter(({ parentId }) => parentId === span.spanId);
  const only = children[0];
  const isRun = span.kind === 'run' && children.length === 1 && only?.plugin === span.plugin;
  const { start, duration } = span;
  const row = { depth, name: nameOf(span), start, duration, error: failure(span), isCall: true };
  if (isRun && only) {
    const around = span.duration - only.duration;
    const process = { depth: depth + 1, name: 'start and end of the process', start, duration: around };
    const inner = rowsOf(only, all, depth).slice(1);
    return [row, { ...process, error: undefined, isCall: false }, ...inner];
  }
  const rows: Row[] = [];
  const drawn = new Set<LoggedSpan>();
  for (const step of span.steps) {
    const child = children.find((one) => !drawn.has(one) && step.step === `${one.plugin} ${one.verb}`);
    if (child) {
      drawn.add(child);
      rows.push(...rowsOf(child, all, depth + 1));
      continue;
    }
    const same = rows.findIndex((one) => one.depth === depth + 1 && one.name === step.step);
    const error = step.error === span.error ? undefined : step.error;
    if (same < 0) {
      rows.push({
        depth: depth + 1,
        name: step.step,
        start: step.start,
        duration: step.duration,
        error: step.error === undefined ? undefined : (error ?? 'failed'),
        isCall: false,
      });
    } else {
      const before = rows[same]!;
      rows[same] = { ...before, duration: before.duration + step.duration };
    }
  }
  const others = children.filter((one) => !drawn.has(one)).flatMap((one) => rowsOf(one, all, depth + 1));
  return [row, ...rows, ...others];
}

function failure({ error, ended }: LoggedSpan): string | undefined {
  return error ?? (ended ? undefined : 'no end: it goes on, or its process was killed');
}

function nameOf({ kind, verb, plugin, network, container, interface: ifname }: LoggedSpan): string {
  const whose = container === '' ? '' : ` ${container}/${ifname}`;
  if (kind === 'chain') return `${verb} ${network}${whose}`;
  return kind === 'plugin' || kind === 'run' ? `${plugin} ${verb}` : verb;
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

function drawRow({ depth, name, start, duration, error }: Row, width: number, from: number, total: number) {
  const indented = ' '.repeat(2 * depth) + name;
  const label = indented.length > width ? `${indented.slice(0, width - 1)}…` : indented.padEnd(width);
  const at = total === 0 ? 0 : Math.min(columns - 1, Math.floor(((start - from) / total) * columns));
  const long = total === 0 ? 0 : Math.min(columns - at, (duration / total) * columns);
  const bar = '█'.repeat(Math.floor(long)) + (eighths[Math.floor((long % 1) * 8)] ?? '');
  const why = error === undefined ? '' : `  ✗ ${error}`;
  return `${label}  ${milliseconds(duration)}  ${' '.repeat(at)}${bar || '▏'}${why}\n`;
}

function milliseconds(microseconds: number): string {
  return `${(microseconds / 1000).toFixed(microseconds < 10_000 ? 2 : 1)} ms`.padStart(11);
}
