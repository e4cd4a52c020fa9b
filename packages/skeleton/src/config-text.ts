import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';

/**
 * One text of a configuration, by its path (`ipam`, `dataDir`), without the plugin's schema: '' when it is not there. For
 * DEL and GC, which what keeps ADD from working must not keep from clearing up. Keys match without regard to letter case
 * and the last that is not null counts, as in the rest of a configuration. Throws CniError 7 for another type.
 */
export function configText(json: unknown, ...path: readonly string[]): string {
  let value = json;
  for (const name of path) value = member(value, name);
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  throw new CniError(
    ErrorCode.invalidConfig,
    `failed to load netconf: ${path.join('.')}: expected a string, got ${JSON.stringify(value)}`,
  );
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const json = value as Readonly<Record<string, unknown>>; // reason: any object has string keys
  const lower = name.toLowerCase();
  let found: unknown;
  for (const key of Object.keys(json)) {
    if (key.length === lower.length && key.toLowerCase() === lower) found = json[key] ?? found;
  }
  return found;
}

/** A path as it was written, for the kernel, to which a text ends at its first NUL: it would open another file. */
export function withoutNul(path: string, field: string): string {
  if (!path.includes('\0')) return path;
  throw new CniError(
    ErrorCode.internal,
    `invalid argument: ${field} has a NUL character in it`,
    JSON.stringify(path),
  );
}
