/**
 * The third backend: the attachment's addresses as sources of a zone of firewalld, and the memory of them. Firewalld has
 * no place for whose they are, so that is a file per attachment, for DEL without prevResult and for GC, after a restart
 * of the machine too.
 *
 * firewalld keeps what it was told in its permanent configuration, so an address may be left there when DEL comes while
 * firewalld does not run. That does not hold up DEL: the memory is kept under another name, and whoever talks to
 * firewalld next takes the address out.
 */
import type { Ip } from '@cni-ts/address/ip';
import { Firewalld, firewalldRuns, type Source } from '@cni-ts/dbus/firewalld';
import { removeFile, renameFile } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { makeFolder, namesIn } from '@cni-ts/libc/folder';
import type { Owners } from '@cni-ts/rules/rule-set';
import { networkMark, type Owner, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Request } from '@cni-ts/skeleton/plugin';
import { changeRecordFile, readWholeRecord } from '@cni-ts/skeleton/record-file';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';
import type { Config } from './config.ts';
import { hostText } from './plan.ts';

type Call = Request<unknown>;

export function addToFirewalld(call: Call, config: Config, addresses: readonly Ip[]): void {
  const { dataDir } = config;
  const { undo } = call;
  const sources = sourcesOf(config, addresses);
  const firewalld = connect(call);
  remember(dataDir, call, sources, undo);
  for (const one of sources) {
    let isNew = true; // also while nobody knows whether it was added
    undo.add(`${one.address} in ${one.zone} zone`, () => {
      if (isNew) firewalld.remove(one);
    });
    isNew = firewalld.add(one);
  }
  forgetOver(firewalld, dataDir);
}

export function differencesInFirewalld(call: Call, config: Config, addresses: readonly Ip[]): string[] {
  const firewalld = connect(call);
  return sourcesOf(config, addresses).flatMap((one) => firewalld.lacks(one));
}

function connect(call: Call): Firewalld {
  return new Firewalld({
    log: (line) => call.log(`firewall: ${line}`),
    onEnd: (work) => call.onEnd(work),
  });
}

/** Takes out what `owners` have, and `addresses` of which nothing is remembered. */
export function removeFromFirewalld(
  call: Call,
  config: Config,
  owners: Owners,
  addresses: readonly Ip[],
): void {
  const { dataDir, backend = 'firewalld' } = config;
  const all = memories(dataDir);
  const going = all.filter(({ name, isOver }) => !isOver && owners.owns(name));
  for (const { path } of going) renameFile(path, path + over);
  const told = backend === 'firewalld' ? sourcesOf(config, addresses) : [];
  const mayKnow = told.length || going.length || all.some(({ isOver }) => isOver);
  if (mayKnow && firewalldRuns()) forgetOver(connect(call), dataDir, told);
  for (const { path } of going) {
    if (!tryStat(path + over)) continue;
    call.log(
      `firewall: firewalld could not be told to forget the addresses in ${path + over}; it will be, at the next call`,
    );
  }
}

/** Takes out what attachments had that are over, and what is `told` besides; what others have must stay. */
function forgetOver(firewalld: Firewalld, dataDir: string, told: readonly Source[] = []): void {
  const all = memories(dataDir);
  const held = all.flatMap(({ isOver, sources }) => (isOver ? [] : sources));
  for (const { path, isOver, sources } of all) {
    const still = isOver ? sources.filter((one) => !isAmong(one, held) && !firewalld.remove(one)) : [];
    if (isOver && still.length === 0) removeFile(path);
  }
  const known = all.flatMap(({ sources }) => sources);
  for (const one of told) if (!isAmong(one, known)) firewalld.remove(one);
}

function sourcesOf({ zone }: Config, addresses: readonly Ip[]): Source[] {
  return addresses.map((ip) => ({ zone, address: hostText(ip) }));
}

/** What is remembered of one attachment. */
interface Memory {
  /** Begins with the owner's mark. */
  readonly name: string;
  readonly path: string;
  readonly sources: readonly Source[];
  /** The attachment is gone, and firewalld has yet to be told. */
  readonly isOver: boolean;
}

const ending = '.json';
const over = '.left';

function memories(folder: string): Memory[] {
  // Nearly always there is no folder: firewalld is rare.
  return namesIn(folder)
    .filter((name) => name.endsWith(ending) || name.endsWith(ending + over))
    .map((name) => {
      const path = `${folder}/${name}`;
      return { name, path, sources: sourcesIn(path), isOver: name.endsWith(over) };
    });
}

function isAmong(one: Source, others: readonly Source[]): boolean {
  return others.some(({ zone, address }) => one.zone === zone && one.address === address);
}

/** Adds to what is remembered of an attachment. An address is one attachment's: its earlier holders in the same network
 *  are gone, and lose it. */
function remember(folder: string, owner: Owner, sources: readonly Source[], undo: Undo): void {
  const { network, containerId, ifname } = owner;
  const mark = ownerMark(owner);
  failing('could not remember the addresses that firewalld is told of', () => {
    makeFolder(folder, 0o755);
    const all = memories(folder).filter(({ isOver }) => !isOver);
    const before = all.find(({ name }) => name === mark + ending)?.sources ?? [];
    const added = sources.filter((one) => !isAmong(one, before));
    const text = JSON.stringify({ network, containerId, ifname, sources: [...before, ...added] });
    if (added.length) changeRecordFile(`${folder}/${mark}${ending}`, text, 0o644, undo);
    for (const { name, path, sources: theirs } of all) {
      const isEarlier = name.startsWith(networkMark(network)) && !name.startsWith(mark);
      if (isEarlier && theirs.some((one) => isAmong(one, sources)))
        changeRecordFile(path, undefined, 0o644, undo);
    }
  });
}

/** What cannot be understood was not written by us as a whole: prevResult is what is left then. */
function sourcesIn(path: string): Source[] {
  const { sources } = readWholeRecord(path) ?? {};
  return Array.isArray(sources) ? sources.filter(isSource) : [];
}

function isSource(one: unknown): one is Source {
  const { zone, address } = (one ?? {}) as Partial<Source>; // reason: looked at in the next line
  return typeof zone === 'string' && typeof address === 'string';
}
