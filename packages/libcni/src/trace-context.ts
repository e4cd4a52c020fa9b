/** W3C trace context, handed to plugins through the environment so that their spans join the caller's trace. */

export interface SpanContext {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly spanId: string;
  readonly sampled: boolean;
  readonly traceState?: readonly (readonly [key: string, value: string])[];
  readonly baggage?: readonly BaggageMember[];
}

export interface BaggageMember {
  readonly key: string;
  readonly value: string;
  readonly properties?: readonly { readonly key: string; readonly value?: string }[];
}

/** What to set in a plugin's environment; nothing at all for no span or an invalid one, whatever baggage it has. */
export function traceVariables(span: SpanContext | undefined): Record<string, string> {
  if (span === undefined || !isId(span.traceId, 32) || !isId(span.spanId, 16)) return {};
  const flags = span.sampled ? '01' : '00';
  const state = (span.traceState ?? []).map(([key, value]) => `${key}=${value}`).join(',');
  const baggage = (span.baggage ?? [])
    .filter(({ key }) => token.test(key))
    .map(baggageMember)
    .join(',');
  return {
    TRACEPARENT: `00-${span.traceId}-${span.spanId}-${flags}`.toLowerCase(),
    ...(state && { TRACESTATE: state }),
    ...(baggage && { BAGGAGE: baggage }),
  };
}

function isId(text: string, digits: number): boolean {
  return text.length === digits && /^[0-9a-f]+$/i.test(text) && /[^0]/.test(text);
}

/** RFC 9110, "token". */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function baggageMember({ key, value, properties = [] }: BaggageMember): string {
  const rest = properties
    .filter((property) => token.test(property.key))
    .map((property) =>
      property.value === undefined ? property.key : `${property.key}=${percentEncode(property.value)}`,
    );
  return [`${key}=${percentEncode(value)}`, ...rest].join(';');
}

/** Everything but the "baggage-octets" of the W3C text, and `%` itself, goes as upper-case hex of its UTF-8 bytes. */
function percentEncode(text: string): string {
  return [...new TextEncoder().encode(text)]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && !'",;\\%'.includes(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}
