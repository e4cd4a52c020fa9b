/**
 * The third backend: the attachment's addresses as sources of a zone of firewalld, and the memory of them.
 *
 * firewalld keeps what it was told in its permanent configuration, so an address may be left there when DEL comes while
 * firewalld does not run. That does not hold up DEL: the memory is kept under another name, and whoever talks to
 * firewalld next takes the address out.
 */
import type { Ip } from '@cni-ts/address/ip';
import { removeFile, renameFile } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import type { Owners } from '@cni-ts/rules/rule-set';
import type { Request } from '@cni-ts/skeleton/plugin';
import type { Config } from './config.ts';
import { Firewalld, firewalldRuns, type Source } from './firewalld.ts';
import { hostText } from './plan.ts';
import { isAmong, memories, over, remember } from './remembered-sources.ts';

type Call = Request<unknown>;

export function addToFirewalld(call: Call, config: Config, addresses: readonly Ip[]): void {
  const { dataDir } = config;
  const { undo } = call;
  const sources = sourcesOf(config, addresses);
  const firewalld = new Firewalld(call);
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
  const firewalld = new Firewalld(call);
  return sourcesOf(config, addresses)
    .filter((one) => !firewalld.has(one))
    .map(({ zone, address }) => `failed to find the address ${address} in ${zone} zone`);
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
  if (mayKnow && firewalldRuns()) forgetOver(new Firewalld(call), dataDir, told);
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
