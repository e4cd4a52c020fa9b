/** The lines of a CNI_LOG file as calls: from several processes at once, in whatever order they came. */
import type { LogLine } from '@cni-ts/skeleton/call-log';

export interface LoggedStep {
  readonly step: string;
  /** Microseconds since 1970. */
  readonly start: number;
  /** Microseconds. */
  readonly duration: number;
  readonly error?: string;
}

export interface LoggedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  readonly kind: LogLine['kind'];
  readonly verb: string;
  readonly plugin: string;
  readonly network: string;
  readonly container: string;
  readonly interface: string;
  readonly start: number;
  readonly duration: number;
  readonly error?: string;
  /** False for a call that goes on, or whose process was killed: its duration is that of its steps. */
  readonly ended: boolean;
  readonly steps: readonly LoggedStep[];
}

export interface Log {
  /** In the order in which they began. */
  readonly spans: readonly LoggedSpan[];
  /** Lines that are none of this log's. A last one that was cut short is not counted: somebody writes it now. */
  readonly unreadable: number;
}

export function readLog(text: string): Log {
  const lines = text.split('\n');
  const torn = lines.pop() ?? '';
  let unreadable = 0;
  const bySpan = new Map<string, LogLine[]>();
  for (const one of [...lines, torn]) {
    if (one === '') continue;
    const line = readLine(one);
    if (!line) {
      if (one !== torn) unreadable++;
      continue;
    }
    const key = `${line.traceId} ${line.spanId}`;
    const among = bySpan.get(key);
    if (among) among.push(line);
    else bySpan.set(key, [line]);
  }
  const spans = [...bySpan.values()].map(spanOf).sort((a, b) => a.start - b.start || b.duration - a.duration);
  return { spans, unreadable };
}

function readLine(text: string): LogLine | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined; // counted by who asks
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const line = json as Record<string, unknown>; // reason: looked at member by member
  const texts = ['time', 'traceId', 'spanId', 'kind', 'verb', 'plugin', 'network', 'container', 'interface'];
  const optional = ['parentId', 'step', 'error'];
  const fits =
    texts.every((key) => typeof line[key] === 'string') &&
    optional.every((key) => line[key] === undefined || typeof line[key] === 'string') &&
    typeof line.duration === 'number' &&
    line.duration >= 0 &&
    Number.isFinite(microseconds(String(line.time)));
  return fits ? (json as LogLine) : undefined; // reason: just looked at
}

function spanOf(lines: readonly LogLine[]): LoggedSpan {
  const whole = lines.find(({ step }) => step === undefined);
  const steps = lines
    .filter((line) => line.step !== undefined)
    .map(({ step = '', time, duration, error }) => ({
      step,
      start: microseconds(time),
      duration,
      ...(error !== undefined && { error }),
    }))
    .sort((a, b) => a.start - b.start);
  const about = whole ?? lines.at(-1)!;
  const start = whole ? microseconds(whole.time) : steps[0]!.start;
  const last = steps.at(-1);
  const { traceId, spanId, parentId, kind, verb, plugin, network, container, interface: ifname } = about;
  return {
    traceId,
    spanId,
    ...(parentId !== undefined && { parentId }),
    kind,
    verb,
    plugin,
    network,
    container,
    interface: ifname,
    start,
    duration: whole?.duration ?? (last ? last.start + last.duration - start : 0),
    ...(whole?.error !== undefined && { error: whole.error }),
    ended: whole !== undefined,
    steps,
  };
}

/** Of RFC 3339 with six digits after the point, as call-log.ts writes it. */
function microseconds(time: string): number {
  const digits = /\.\d{3}(\d{3})Z$/.exec(time)?.[1] ?? '0';
  return Date.parse(time.replace(/(\.\d{3})\d{3}Z$/, '$1Z')) * 1000 + Number(digits);
}
