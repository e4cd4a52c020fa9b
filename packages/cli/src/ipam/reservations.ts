/** What lies in a folder of reservations: ours and the Go plugin's are alike. */
import { compareIp, formatIp, parseIp } from '@cni-ts/address/ip';
import { readRegular } from '@cni-ts/libc/file';
import { statLink } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { errorText } from '@cni-ts/spec/cni-error';
import { CannotLookError } from '../verb.ts';

export interface Reservation {
  readonly address: string;
  readonly path: string;
  readonly containerId: string;
  /** Releases before 0.7 wrote none. */
  readonly ifname?: string;
  /** Nanoseconds since 1970. */
  readonly since: bigint;
}

/** A file with an address's name that holds no attachment. */
export interface OddFile {
  readonly address: string;
  readonly path: string;
  readonly why: string;
  /** Somebody keeps the address aside: GC leaves it, and so do we. */
  readonly isTaken: boolean;
}

export interface Shelf {
  readonly reservations: readonly Reservation[];
  readonly odd: readonly OddFile[];
}

/** In the order of the addresses' bytes. A folder that is missing is empty; one that cannot be read is a CannotLookError. */
export function reservationsIn(folder: string): Shelf {
  const reservations: Reservation[] = [];
  const odd: OddFile[] = [];
  for (const address of addressesIn(folder)) {
    const path = `${folder}/${address}`;
    const one = readReservation(address, path);
    if (one === undefined) continue; // released meanwhile
    if ('why' in one) odd.push(one);
    else reservations.push(one);
  }
  return { reservations, odd };
}

/** Undefined where the file is gone. */
export function readReservation(address: string, path: string): Reservation | OddFile | undefined {
  const found = statLink(path);
  if (!found) return undefined;
  const strange = (why: string, isTaken = true): OddFile => ({ address, path, why, isTaken });
  if (!found.isFile) return strange('it is no file');
  let text: string;
  try {
    text = readRegular(path).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    return strange(errorText(error));
  }
  if (text === '')
    return strange('it is empty: whoever was to write it died, and the next ADD may take it', false);
  const [containerId = '', ifname, ...more] = text.split('\r\n');
  if (/\s/.test(containerId) || more.length > 0)
    return strange(`it says ${JSON.stringify(text.slice(0, 60))}`);
  return { address, path, containerId, ...(ifname && { ifname }), since: found.mtimeNs };
}

function addressesIn(folder: string): string[] {
  try {
    const ips = listFolder(folder).flatMap((name) => {
      const ip = parseIp(name);
      return ip && formatIp(ip) === name ? [ip] : [];
    });
    return ips.sort(compareIp).map(formatIp);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw new CannotLookError(errorText(error));
  }
}
