/** One result in the words of every spec version. Versions that share an arrangement differ in their label only. */
import { CniError, ErrorCode, errorText } from './cni-error.ts';
import { newestVersion } from './released-versions.ts';
import { type Result, resultTable, type VersionedResult } from './result.ts';
import { type Shape, text } from './result-codec.ts';
import { rearranged } from './result-convert.ts';
import { isEmpty, jsonEntry, objectOf, others, readEntry } from './result-table.ts';

export type { VersionedResult };

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
  const read = readEntry(resultTable, json === null ? {} : json, '', shape);
  const inside = String(read.cniVersion ?? '');
  if (!versionsOf[shape].includes(inside)) {
    throw new CniError(
      ErrorCode.decodingFailure,
      `result type supports [${versionsOf[shape].join(' ')}] but unmarshalled CNIVersion is ${JSON.stringify(inside)}`,
    );
  }
  // reason: the table of the arrangement has told each member
  return Object.assign(read, { shape, cniVersion: inside || '0.1.0' }) as VersionedResult;
}

/** Reads a result by the version it names itself; one that names none is 0.1.0. */
export function decodeAnyResult(json: unknown): VersionedResult {
  return decodeResult(versionInside(json), json);
}

/** A result a plugin has built, which is in the newest arrangement whatever its `cniVersion` says; labelled `version`
 *  where that is of the newest arrangement, too. Throws CniError 6 for a result that is none. */
export function versionedResult(result: Result, version = newestVersion): VersionedResult {
  const cniVersion = versionsOf['1.0.0'].includes(version) ? version : newestVersion;
  return decodeResult(newestVersion, { ...result, cniVersion });
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
  if (shape !== undefined && versionsOf[result.shape].includes(result.cniVersion)) {
    return rearranged(result, shape, target);
  }
  throw new CniError(
    ErrorCode.internal, // the reference's own
    `no converter for CNI result version ${result.cniVersion} to ${target}`,
  );
}

/** The form plugins work with, labelled 1.1.0. Nothing in it is shared with `result`; empty members are left out. */
export function newestResult(result: VersionedResult): Result {
  return takenResult(rearranged(result, '1.0.0', newestVersion));
}

/** The same of a result that nobody else has, such as one that was just read: its parts are taken over. */
export function takenResult(result: VersionedResult): Result {
  if (result.shape === '0.1.0') return takenResult(rearranged(result, '1.0.0', newestVersion));
  const { interfaces, ips, routes, dns } = result;
  // All that 0.3.0 has and 1.0.0 has not.
  if (result.shape === '0.3.0') for (const ip of result.ips) Reflect.deleteProperty(ip, 'version');
  const newest: Result = { cniVersion: newestVersion };
  if (interfaces.length > 0) newest.interfaces = interfaces;
  if (ips.length > 0) newest.ips = ips;
  if (routes.length > 0) newest.routes = routes;
  if (!isEmpty(dns)) newest.dns = dns;
  const more = result[others];
  if (more) newest[others] = more;
  return newest;
}

/** JSON text indented by four spaces, without a final newline. */
export function printResult(result: VersionedResult): string {
  return JSON.stringify(resultJson(result), undefined, 4);
}

/** What that text says. Order of members and what is left out when empty follow the reference library, so that outputs
 *  can be compared as text. */
export function resultJson(result: VersionedResult): object {
  return jsonEntry(resultTable, result, result.shape);
}

function shapeOf(version: string): Shape | undefined {
  if (versionsOf['1.0.0'].includes(version)) return '1.0.0';
  if (versionsOf['0.3.0'].includes(version)) return '0.3.0';
  return versionsOf['0.1.0'].includes(version) ? '0.1.0' : undefined;
}

function versionInside(json: unknown): string {
  try {
    const { cniVersion } = json === null ? {} : objectOf(json, '');
    return text.read(cniVersion, '', 'cniVersion', '0.1.0') ?? '';
  } catch (cause) {
    throw new CniError(
      ErrorCode.decodingFailure,
      `decoding version from network config: ${errorText(cause)}`,
      '',
      { cause },
    );
  }
}
