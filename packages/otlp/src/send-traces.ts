/**
 * `send-traces FILE`: sends what a CNI_LOG holds to the collector of OTEL_EXPORTER_OTLP_ENDPOINT, by OpenTelemetry's own
 * packages, which read that and the other variables of theirs (headers, certificates, time). They are loaded only then.
 */
import { readFileSync } from 'node:fs';
import { readLog } from '@cni-ts/cli/timeline/read-log';
import type { ExportResult } from '@opentelemetry/core';

export interface SendIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** Returns the exit status: 0; 1 where it could not be sent; 2 where it is how it was called; 3 where there is no log. */
export async function sendTraces(argv: readonly string[], { env, stdout, stderr }: SendIo): Promise<number> {
  const [file, ...more] = argv;
  if (file === undefined || file.startsWith('-') || more.length > 0) {
    stderr('usage: OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 send-traces FILE\n');
    return 2;
  }
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) {
    stderr('send-traces: set OTEL_EXPORTER_OTLP_ENDPOINT: where to is not known\n');
    return 2;
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    stderr(`send-traces: ${error instanceof Error ? error.message : String(error)}\n`);
    return 3;
  }
  const { spans } = readLog(text);
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const { readSpans } = await import('./read-spans.ts');
  const exporter = new OTLPTraceExporter();
  const all = readSpans(spans, env.OTEL_SERVICE_NAME || 'cni');
  const { error } = await new Promise<ExportResult>((done) => exporter.export(all, done));
  await exporter.shutdown();
  if (error) {
    stderr(`send-traces: ${error.message}\n`);
    return 1;
  }
  stdout(`${all.length} spans of ${new Set(spans.map(({ traceId }) => traceId)).size} traces were sent\n`);
  return 0;
}
