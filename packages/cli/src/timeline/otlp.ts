/**
 * Spans of a log as OTLP in JSON: opentelemetry-proto's ExportTraceServiceRequest, as the "OTLP/JSON" of the specification
 * writes it (ids in hex, times in nanoseconds as text). For `curl`, or a collector that reads files: the executable has no HTTP.
 */
import { pluginVersion } from '@cni-ts/skeleton/plugin';
import type { LoggedSpan, LoggedStep } from './read-log.ts';

const SPAN_KIND = { chain: 1, plugin: 2, run: 3 } as const;
const INTERNAL = 1;
const STATUS_ERROR = 2;

export function otlpOf(spans: readonly LoggedSpan[]): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: [attribute('service.name', 'cni')] },
        scopeSpans: [{ scope: { name: 'cni-ts', version: pluginVersion }, spans: spans.flatMap(withSteps) }],
      },
    ],
  };
}

function withSteps(span: LoggedSpan): object[] {
  const { traceId, spanId, parentId, kind } = span;
  return [
    {
      traceId,
      spanId,
      ...(parentId !== undefined && { parentSpanId: parentId }),
      name: spanName(span),
      kind: SPAN_KIND[kind],
      ...times(span),
      attributes: Object.entries(spanAttributes(span)).map(([key, value]) => attribute(key, value)),
      ...status(span.error),
    },
    ...span.steps.map((step, at) => ({
      traceId,
      spanId: idOfStep(spanId, at),
      parentSpanId: spanId,
      name: step.step,
      kind: INTERNAL,
      ...times(step),
      ...status(step.error),
    })),
  ];
}

/** `ADD web` of a chain, `bridge ADD` of a plugin. */
export function spanName({ kind, verb, plugin, network }: LoggedSpan): string {
  return kind === 'chain' ? `${verb} ${network}` : `${plugin} ${verb}`;
}

export function spanAttributes(span: LoggedSpan): Record<string, string> {
  return {
    'cni.network': span.network,
    'cni.plugin': span.plugin,
    'cni.container': span.container,
    'cni.interface': span.interface,
  };
}

function attribute(key: string, value: string): object {
  return { key, value: { stringValue: value } };
}

function times({ start, duration }: Pick<LoggedStep, 'start' | 'duration'>): object {
  return { startTimeUnixNano: `${start}000`, endTimeUnixNano: `${start + duration}000` };
}

function status(error: string | undefined): object {
  return error === undefined ? {} : { status: { code: STATUS_ERROR, message: error } };
}

/** Steps have no id in the log. The same one for the same step, so that what is sent twice is no second span. */
export function idOfStep(spanId: string, at: number): string {
  const [high, low] = [Number.parseInt(spanId.slice(0, 8), 16), Number.parseInt(spanId.slice(8), 16)];
  const first = mixed(high ^ Math.imul(at + 1, 0x9e3779b1));
  const second = mixed(low ^ Math.imul(at + 1, 0x85ebca6b) ^ first);
  return [first, second].map((word) => word.toString(16).padStart(8, '0')).join('');
}

/** The last step of MurmurHash3: every bit of the result depends on every bit given. */
function mixed(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
