/**
 * One result in the words of every spec version. Three arrangements exist (0.1.0–0.2.0, 0.3.0–0.4.0, 1.0.0–1.1.0);
 * versions that share one differ in their label only.
 */
import { CniError, ErrorCode, errorText } from './cni-error.ts';
import { others, type Result, type Result010, type Result030, type Result100 } from './result.ts';
import { copy, from010to030, from030to010, from030to100, from100to030, relabel } from './result-convert.ts';
import { decode010, decode030, decode100, resultObject, text } from './result-decode.ts';
import { json010, json030, json100 } from './result-print.ts';

/** A result as some spec version arranges it; `shape` is the version that introduced the arrangement. */
export type VersionedResult = Result010 | Result030 | Result100;

type Shape = VersionedResult['shape'];

/** Which `cniVersion` an arrangement may carry. A result without one counts as 0.1.0, hence the empty entry. */
const versionsOf: Readonly<Record<Shape, readonly string[]>> = {
  '0.1.0': ['', '0.1.0', '0.2.0'],
  '0.3.0': ['0.3.0', '0.3.1', '0.4.0'],
  '1.0.0': ['1.0.0', '1.1.0'],
};

/**
 * Reads a result in the arrangement of the given spec version ('' is 0.1.0). The `cniVersion` inside may be another
 * one of the same arrangement, and is kept. Throws CniError 1 for a version nobody knows, 6 for what does not fit.
 */
export function decodeResult(version: string, json: unknown): VersionedResult {
  const shape = shapeOf(version);
  if (shape === undefined) {
    throw new CniError(
      ErrorCode.incompatibleVersion,
      `unsupported CNI result version ${JSON.stringify(version)}`,
    );
  }
  const object = resultObject(json);
  const inside = text(object, 'cniVersion', '');
  const allowed = versionsOf[shape];
  const decoded = decoders[shape](object, inside === '' && shape === '0.1.0' ? '0.1.0' : inside);
  if (allowed.includes(inside)) return decoded;
  throw new CniError(
    ErrorCode.decodingFailure,
    `result type supports [${allowed.join(' ')}] but unmarshalled CNIVersion is ${JSON.stringify(inside)}`,
  );
}

/** Reads a result by the version it names itself; one that names none is 0.1.0. */
export function decodeAnyResult(json: unknown): VersionedResult {
  return decodeResult(versionInside(json), json);
}

/** A result a plugin has built, which is in the newest arrangement whatever its `cniVersion` says. */
export function versionedResult(result: Result): Result100 {
  const copied = copy(result);
  const { interfaces = [], ips = [], routes = [], dns = {} } = copied;
  const more = copied[others];
  return {
    shape: '1.0.0',
    cniVersion: '1.1.0',
    interfaces,
    ips,
    routes,
    dns,
    ...(more && { [others]: more }),
  };
}

/**
 * The same result for another spec version ('' is 0.1.0); the same object if it has that version already. What the
 * other version cannot say is left out; throws CniError 999 for an unknown version, and for one that must have an
 * address where there is none.
 */
export function convertResult(result: VersionedResult, version: string): VersionedResult {
  const target = version === '' ? '0.1.0' : version;
  if (result.cniVersion === target) return result;
  const shape = shapeOf(target);
  if (shape === undefined || !versionsOf[result.shape].includes(result.cniVersion)) {
    throw new CniError(
      ErrorCode.internal, // the reference's own
      `no converter for CNI result version ${result.cniVersion} to ${target}`,
    );
  }
  return relabel(arrange(result, shape), target);
}

/** The form plugins work with, labelled 1.1.0. Nothing in it is shared with `result`; empty members are left out. */
export function newestResult(result: VersionedResult): Result {
  return takenResult(copy(result));
}

/** The same of a result that nobody else has, such as one that was just read: its parts are taken over. */
export function takenResult(result: VersionedResult): Result {
  const whole = to100(result);
  const newest: Result = { cniVersion: '1.1.0' };
  if (whole.interfaces.length > 0) newest.interfaces = whole.interfaces;
  if (whole.ips.length > 0) newest.ips = whole.ips;
  if (whole.routes.length > 0) newest.routes = whole.routes;
  if (Object.keys(whole.dns).length > 0 || whole.dns[others]) newest.dns = whole.dns;
  const more = whole[others];
  if (more) newest[others] = more;
  return newest;
}

/** JSON text indented by four spaces, without a final newline. */
export function printResult(result: VersionedResult): string {
  return JSON.stringify(resultJson(result), undefined, 4);
}

const decoders = { '0.1.0': decode010, '0.3.0': decode030, '1.0.0': decode100 } as const;

function shapeOf(version: string): Shape | undefined {
  if (versionsOf['1.0.0'].includes(version)) return '1.0.0';
  if (versionsOf['0.3.0'].includes(version)) return '0.3.0';
  return versionsOf['0.1.0'].includes(version) ? '0.1.0' : undefined;
}

function versionInside(json: unknown): string {
  try {
    return text(resultObject(json), 'cniVersion', '');
  } catch (cause) {
    throw new CniError(
      ErrorCode.decodingFailure,
      `decoding version from network config: ${errorText(cause)}`,
      '',
      { cause },
    );
  }
}

function arrange(result: VersionedResult, shape: Shape): VersionedResult {
  if (shape === '1.0.0') return to100(result);
  return shape === '0.3.0' ? to030(result) : to010(result);
}

function to010(result: VersionedResult): Result010 {
  return result.shape === '0.1.0' ? result : from030to010(to030(result));
}

function to030(result: VersionedResult): Result030 {
  if (result.shape === '0.3.0') return result;
  return result.shape === '0.1.0' ? from010to030(result) : from100to030(result);
}

function to100(result: VersionedResult): Result100 {
  return result.shape === '1.0.0' ? result : from030to100(to030(result));
}

/** What that text says. Members that are undefined are none of it. */
export function resultJson(result: VersionedResult): object {
  if (result.shape === '0.1.0') return json010(result);
  return result.shape === '0.3.0' ? json030(result) : json100(result);
}
