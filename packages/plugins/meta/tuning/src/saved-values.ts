/** What a link was like before ADD, in one file per attachment: for DEL, which may come after a reboot of everything
 *  but the host. Directory, names and content are the reference plugin's, so that either can restore what the other
 *  saved; `network` is ours and lets GC tell whose the file is, and so is `link`, which tells which link it was. */
import { formatMac } from '@cni-ts/address/mac';
import { removeFile, unfinished } from '@cni-ts/libc/file';
import { statLink } from '@cni-ts/libc/file-status';
import { makeFolder, namesIn } from '@cni-ts/libc/folder';
import type { Netns } from '@cni-ts/libc/netns';
import type { Link } from '@cni-ts/rtnetlink/link';
import type { Attachment, Request } from '@cni-ts/skeleton/plugin';
import { changeRecordFile, readRecordFile, readWholeRecord } from '@cni-ts/skeleton/record-file';
import { messageOf } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { type LinkValue, type LinkValues, linkValues, type SomeValues } from './link-values.ts';

function fileName({ containerId, ifname }: Attachment): string {
  return `${containerId}_${ifname}.json`;
}

function pathOf(folder: string, at: Attachment): string {
  return `${folder}/${fileName(at)}`;
}

/** Which link it was. Numbers of namespaces are given again as soon as they are free, and so are a link's in them; the
 *  number of a veth's other end on the host is not. */
export interface LinkIdentity {
  /** Device and inode. */
  readonly netns: string;
  readonly index: number;
  /** Index of a veth's peer, or of the link below; 0 for none. */
  readonly lower: number;
  /** As ADD left it. */
  readonly mac: string;
}

export function identityOf(link: Link, { id }: Netns, mac = formatMac(link.mac)): LinkIdentity {
  return { netns: `${id.dev}:${id.ino}`, index: link.index, lower: link.lower, mac };
}

/** Whether the link is the very one. The MAC of a veth, and of a device of the host, may have been changed since. */
export function isSameLink(saved: LinkIdentity, link: Link, netns: Netns): boolean {
  const found = identityOf(link, netns);
  const same = saved.netns === found.netns && saved.index === found.index && saved.lower === found.lower;
  const isTold = link.kind === '' || (link.kind === 'veth' && link.lower !== 0);
  return same && (isTold || saved.mac === found.mac);
}

/** What a file has. */
export interface Saved {
  readonly values: SomeValues;
  /** undefined where the reference wrote it, or an earlier release of ours. */
  readonly link: LinkIdentity | undefined;
}

/** Written as a whole or not at all. A file of an earlier ADD is replaced; its undo puts that file back. */
export function saveValues(folder: string, request: Request<unknown>, saved: Saved): void {
  const { network, undo } = request;
  const path = pathOf(folder, request);
  // Not 0600 as the reference has it: without root's privilege over files nobody could look into it.
  failing('failed to create backup directory', () => makeFolder(folder, 0o700));
  failing(`failed to save file ${request.ifname}.json`, () => {
    const ordered = Object.fromEntries(linkValues.map((name) => [name, saved.values[name]]));
    const text = JSON.stringify({ ...ordered, network, link: saved.link }, undefined, 1);
    changeRecordFile(path, text, 0o600, undo);
  });
}

/** undefined when nothing was saved. Throws for a file that cannot be read or understood. */
export function savedValues(folder: string, at: Attachment): Saved | undefined {
  const path = pathOf(folder, at);
  const json = readRecordFile(path);
  if (json === undefined) return undefined;
  const values: { -readonly [K in LinkValue]?: unknown } = {};
  for (const name of linkValues) {
    if (json[name] === undefined) continue;
    if (typeof json[name] !== typeof blank[name]) throw new Error(`${path}: ${name} has an impossible value`);
    values[name] = json[name];
  }
  // reason: each member was compared with the type it has in `blank`
  return { values: values as SomeValues, link: identityIn(json.link) };
}

const blank: LinkValues = { mac: '', promisc: false, mtu: 0, allmulti: false, txQLen: 0 };

/** One that is not complete is of no link: nothing equals it. */
function identityIn(json: unknown): LinkIdentity | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  return { netns: '', index: 0, lower: 0, mac: '', ...json };
}

export function forgetValues(folder: string, at: Attachment): void {
  const path = pathOf(folder, at);
  removeFile(path);
  removeFile(path + unfinished);
}

/** Removes what was saved for attachments of this network that are no more. A file that does not name its network
 *  may be any network's and stays. All are tried. */
export function forgetStale(folder: string, network: string, valid: readonly Attachment[]): void {
  const keep = new Set(valid.map(fileName));
  const failures: string[] = [];
  for (const name of namesIn(folder)) {
    const path = `${folder}/${name}`;
    try {
      if (name.endsWith(`.json${unfinished}`)) forgetUnfinished(path);
      else if (name.endsWith('.json') && !keep.has(name) && readWholeRecord(path)?.network === network)
        removeFile(path);
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  if (failures.length > 0) throw new Error(`could not remove all saved values: ${failures.join('; ')}`);
}

/** Of a process that was killed, whosever: who still writes does so for no longer than this. */
const longestWriteMs = 60_000;

function forgetUnfinished(path: string): void {
  const status = statLink(path);
  if (status && Number(status.mtimeNs / 1_000_000n) < Date.now() - longestWriteMs) removeFile(path);
}
