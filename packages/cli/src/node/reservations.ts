/** The reservations of host-local and cluster-pool on this node: a folder for each network, a file for each address. */
import { type Ip, parseIp } from '@cni-ts/address/ip';
import { defaultDataDir } from '@cni-ts/ipam-kit/data-dir';
import { readRegular } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { type FolderEntry, folderEntries } from '@cni-ts/libc/folder';
import { objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import type { Json } from '../validate/document.ts';
import { clusterIpam } from '../validate/plugin-types.ts';

export interface Reservation {
  readonly path: string;
  readonly network: string;
  readonly ip: Ip;
  readonly containerId: string;
  /** '' in files of old versions, which have the container alone. */
  readonly ifname: string;
  /** When it was made, in milliseconds since 1970. */
  readonly since: number | undefined;
}

/** Where the plugins of these configurations keep reservations, and where they do when nothing is written. */
export function dataDirs(plugins: readonly Json[]): string[] {
  const named = plugins.flatMap((one) => {
    const ipam = objectMember(one, 'ipam');
    const folder = textMember(ipam, 'dataDir').replace(/\/+$/, '');
    return ['host-local', ...clusterIpam].includes(textMember(ipam, 'type')) && folder !== '' ? [folder] : [];
  });
  return [...new Set([defaultDataDir, ...named])];
}

/** What cannot be read is no reservation. */
export function reservationsIn(folders: readonly string[]): Reservation[] {
  return folders.flatMap((folder) =>
    entriesOf(folder, 'folder').flatMap((network) => {
      const store = `${folder}/${network}`;
      return entriesOf(store, 'file').flatMap((name) => reservationAt(`${store}/${name}`) ?? []);
    }),
  );
}

/** The reservation in a file: its name is the address, the folder's the network. */
export function reservationAt(path: string): Reservation | undefined {
  const [network = '', name = ''] = path.split('/').slice(-2);
  const ip = parseIp(name);
  if (!ip) return undefined;
  let text: string;
  try {
    text = readRegular(path);
  } catch {
    return undefined; // gone meanwhile, or not to be read: the plugins pass over it, too
  }
  const [containerId = '', ifname = ''] = text.trim().split(/\r?\n/);
  const file = tryStat(path);
  const since = file && Number(file.mtimeNs / 1_000_000n);
  return { path, network, ip, containerId, ifname, since };
}

function entriesOf(folder: string, kind: FolderEntry['kind']): string[] {
  try {
    return folderEntries(folder)
      .filter((one) => one.kind === kind)
      .map(({ name }) => name)
      .sort();
  } catch {
    return []; // no folder: no reservations
  }
}
