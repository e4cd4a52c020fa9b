/** Spans of a CNI_LOG as OpenTelemetry's SDK has them. */

import { idOfStep, spanAttributes, spanName } from '@cni-ts/cli/timeline/otlp';
import type { LoggedSpan, LoggedStep } from '@cni-ts/cli/timeline/read-log';
import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';

const kinds = { chain: SpanKind.INTERNAL, plugin: SpanKind.SERVER, run: SpanKind.CLIENT } as const;

/** `serviceName`: of the resource all of them belong to. */
export function readSpans(spans: readonly LoggedSpan[], serviceName: string): ReadableSpan[] {
  const resource = resourceFromAttributes({ 'service.name': serviceName });
  const common = {
    resource,
    instrumentationScope: { name: 'cni-ts' },
    links: [],
    events: [],
    ended: true,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
  return spans.flatMap((span): ReadableSpan[] => {
    const { traceId, spanId, parentId, kind } = span;
    const context = (id: string) => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED });
    const whole: ReadableSpan = {
      ...common,
      ...timesOf(span),
      name: spanName(span),
      kind: kinds[kind],
      spanContext: () => context(spanId),
      ...(parentId !== undefined && { parentSpanContext: context(parentId) }),
      attributes: spanAttributes(span),
    };
    const steps = span.steps.map(
      (step, at): ReadableSpan => ({
        ...common,
        ...timesOf(step),
        name: step.step,
        kind: SpanKind.INTERNAL,
        spanContext: () => context(idOfStep(spanId, at)),
        parentSpanContext: context(spanId),
        attributes: {},
      }),
    );
    return [whole, ...steps];
  });
}

function timesOf({ start, duration, error }: Pick<LoggedStep, 'start' | 'duration' | 'error'>) {
  return {
    startTime: timeOf(start),
    endTime: timeOf(start + duration),
    duration: timeOf(duration),
    status:
      error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
  };
}

/** Seconds and nanoseconds. */
function timeOf(microseconds: number): HrTime {
  const seconds = Math.floor(microseconds / 1_000_000);
  return [seconds, (microseconds - seconds * 1_000_000) * 1000];
}
