import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { type Json, member } from './network.ts';
import type { Attachment } from './plugin.ts';

/** A runtime that has no attachments says so with an empty list (or null, as Go writes one). One that says nothing
 *  may not know: its GC would remove what is in use. */
export function validAttachments(json: Json): Attachment[] {
  const key = ['cni.dev/valid-attachments', 'cni.dev/attachments'].find((name) => Object.hasOwn(json, name));
  if (key === undefined) {
    throw new CniError(
      ErrorCode.invalidConfig,
      'GC without "cni.dev/valid-attachments" would remove every attachment of the network; nothing was done',
      'the runtime must list what is in use; an empty list means nothing is',
    );
  }
  const list = json[key] ?? [];
  if (!Array.isArray(list)) throw badAttachments(key, 'expected a list');
  return list.map((entry: unknown, index) => {
    const [containerId, ifname] =
      typeof entry === 'object' && entry !== null
        ? [member(entry as Json, 'containerID'), member(entry as Json, 'ifname')] // members are looked at one by one
        : [];
    if (typeof containerId === 'string' && typeof ifname === 'string') return { containerId, ifname };
    throw badAttachments(`${key}[${index}]`, 'expected an object with containerID and ifname');
  });
}

function badAttachments(path: string, expected: string): CniError {
  return new CniError(ErrorCode.invalidConfig, `failed to load netconf: ${path}: ${expected}`);
}
