/** What an operation is from a network's spec version on. */
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { convertResult, type VersionedResult } from '@cni-ts/spec/result-version';
import { compareVersions, parseVersion } from '@cni-ts/spec/spec-version';
import type { NetworkList } from './network-list.ts';

/** The network's version is too old for CHECK. Found as the `cause` of what CHECK throws. */
export class CheckNotSupportedError extends Error {
  constructor() {
    super('does not support the CHECK command');
    this.name = 'CheckNotSupportedError';
  }
}

export function requireCheck(cniVersion: string): void {
  if (compareVersions(cniVersion, '0.4.0') >= 0) return;
  const cause = new CheckNotSupportedError();
  const message = `configuration version ${JSON.stringify(cniVersion)} ${cause.message}`;
  throw new CniError(ErrorCode.incompatibleVersion, message, '', { cause });
}

/** GC and STATUS came with 1.1.0. A version nobody can read has neither. */
export function hasGcAndStatus({ cniVersion }: Pick<NetworkList, 'cniVersion'>): boolean {
  try {
    parseVersion(cniVersion);
  } catch {
    return false;
  }
  return compareVersions(cniVersion, '1.1.0') >= 0;
}

/** Before 0.4.0 DEL has no `prevResult`; a result that has no words in this version is none. */
export function inVersionForDel(
  result: VersionedResult | undefined,
  cniVersion: string,
): VersionedResult | undefined {
  try {
    if (result === undefined || compareVersions(cniVersion, '0.4.0') < 0) return undefined;
    return convertResult(result, cniVersion);
  } catch {
    return undefined; // DEL works without it
  }
}
