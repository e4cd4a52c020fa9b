/** whereabouts' flat file: members of `ipam` that many configurations share. What stands in the configuration itself counts
 *  more. */
import { readRegular } from '@cni-ts/libc/file';
import { isMissing } from '@cni-ts/libc/syscall-error';
import { CniError, ErrorCode, messageOf } from '@cni-ts/spec/cni-error';

type Json = Readonly<Record<string, unknown>>;

/** Where whereabouts looks, in this order; after configuration_path. */
const places = [
  '/etc/kubernetes/cni/net.d/whereabouts.d/whereabouts.conf',
  '/etc/cni/net.d/whereabouts.d/whereabouts.conf',
  '/host/etc/cni/net.d/whereabouts.d/whereabouts.conf',
];

/**
 * `ipam` with what the flat file adds; undefined where there is no such file. Looked for are `path` (configuration_path),
 * and where `ipam` is one of whereabouts the places above. Throws CniError 7 for a file that cannot be read.
 */
export function withFlatFile(ipam: Json, path: string): Json | undefined {
  const tried = [...(path === '' ? [] : [path]), ...(ipam.type === 'whereabouts' ? places : [])];
  for (const file of tried) {
    const flat = flatFile(file);
    if (flat) return merged(ipam, flat);
  }
  if (path === '') return undefined;
  throw new CniError(ErrorCode.invalidConfig, `ipam.configuration_path: there is no file ${path}`);
}

function flatFile(path: string): Json | undefined {
  let json: unknown;
  try {
    json = JSON.parse(readRegular(path, true));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw notReadable(path, messageOf(error), error);
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json; // reason: just seen
  throw notReadable(path, 'it holds no JSON object');
}

function notReadable(path: string, why: string, cause?: unknown): CniError {
  const what = `the configuration file ${path} cannot be read: ${why}`;
  const cure = 'mend it, or remove it and write its members into "ipam"';
  return new CniError(ErrorCode.invalidConfig, what, cure, cause === undefined ? undefined : { cause });
}

/** Keys match without regard to letter case. Where the reservations are stands in the configuration alone: DEL must find
 *  them without this file. */
function merged(ipam: Json, flat: Json): Json {
  const own = new Set<string>();
  for (const key of Object.keys(ipam)) if (ipam[key] !== null) own.add(key.toLowerCase());
  const added = Object.entries(flat).filter(
    ([key]) => !own.has(key.toLowerCase()) && key.toLowerCase() !== 'datadir',
  );
  return { ...ipam, ...Object.fromEntries(added) };
}
