/** `cnitool timeline`: what a CNI_LOG file tells, as bars. */
import { readText } from '@cni-ts/libc/file';
import { errorText } from '@cni-ts/spec/cni-error';
import { drawTraces } from './timeline/draw.ts';
import { otlpOf } from './timeline/otlp.ts';
import { type Log, readLog } from './timeline/read-log.ts';
import { CannotLookError, type Verb } from './verb.ts';

export const timeline: Verb = {
  about: 'Draw the calls of a CNI_LOG file, and how long each step took',
  examples: [
    {
      call: 'cnitool timeline /var/log/cni.log',
      about: 'what a runtime with CNI_LOG=/var/log/cni.log has written',
    },
  ],
  needs: ['file'],
  options: [
    { name: 'container', value: 'id', about: 'only the traces in which a container of this ID has a part' },
    { name: 'trace', value: 'id', about: 'only this trace, by the beginning of its ID' },
    { name: 'json', about: 'print it as JSON (dist/schemas/cnitool-timeline.json)' },
    { name: 'otlp', about: 'print it as OTLP in JSON, for an OpenTelemetry collector' },
  ],
  async run({ args, options, note, ends }) {
    const file = args[0] ?? '';
    let log: Log;
    try {
      log = readLog(readText(file));
    } catch (error) {
      throw new CannotLookError(errorText(error));
    }
    const spans = chosen(log, options('container')?.at(-1), options('trace')?.at(-1));
    if (spans.some(({ error }) => error !== undefined)) ends(1);
    if (log.unreadable > 0) {
      note(`${file}: ${log.unreadable} lines are none of a CNI_LOG`);
      ends(1);
    }
    if (options('otlp') !== undefined) return `${JSON.stringify(otlpOf(spans))}\n`;
    if (options('json') !== undefined) {
      return `${JSON.stringify({ spans, unreadable: log.unreadable }, undefined, 2)}\n`;
    }
    return spans.length === 0 ? `there is no call in ${file}\n` : drawTraces(spans);
  },
};

function chosen({ spans }: Log, container: string | undefined, trace: string | undefined) {
  const traces = new Set(
    spans
      .filter((one) => container === undefined || one.container === container)
      .filter(({ traceId }) => trace === undefined || traceId.startsWith(trace))
      .map(({ traceId }) => traceId),
  );
  return spans.filter(({ traceId }) => traces.has(traceId));
}
