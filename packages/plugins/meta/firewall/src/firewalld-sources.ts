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
import { isAmong, left, memories, remember, takeOver } from './remembered-sources.ts';

type Call = Request<unknown>;

export function addToFirewalld(call: Call, config: Config, addresses: readonly Ip[]): void {
  const { dataDir } = config;
  const { undo } = call;
  const sources = sourcesOf(config, addresses);
  const firewalld = connected(call);
  remember(dataDir, call, sources, undo);
  for (const one of sources) {
    let isNew = true; // also while nobody knows whether it was added
    undo.add(`${one.address} in ${one.zone} zone`, () => {
      if (isNew) firewalld.remove(one);
    });
    isNew = firewalld.add(one);
  }
  takeOver(dataDir, call, sources, undo);
  removeLeft(firewalld, dataDir);
}

export function differencesInFirewalld(call: Call, config: Config, addresses: readonly Ip[]): string[] {
  const firewalld = connected(call);
  return sourcesOf(config, addresses)
    .filter((one) => !firewalld.has(one))
    .map(({ zone, address }) => `failed to find the address ${address} in ${zone} zone`);
}

/** Takes out what `owners` have, and `addresses` of which nothing is remembered; but nothing that others have. */
export function removeFromFirewalld(
  call: Call,
  config: Config,
  owners: Owners,
  addresses: readonly Ip[],
): void {
  const { dataDir, backend = 'firewalld' } = config;
  const over = memories(dataDir).filter(({ name }) => owners.owns(name));
  for (const { path } of over) renameFile(path, path + left);
  const told = backend === 'firewalld' ? sourcesOf(config, addresses) : [];
  if ((told.length || memories(dataDir, left).length) && firewalldRuns()) {
    const firewalld = connected(call);
    removeLeft(firewalld, dataDir);
    removeAll(firewalld, told, [...over.flatMap(({ sources }) => sources), ...held(dataDir)]);
  }
  for (const { path } of over) {
    if (!tryStat(path + left)) continue;
    call.log(
      `firewall: firewalld could not be told to forget the addresses in ${path + left}; it will be, at the next call`,
    );
  }
}

/** What attachments have must stay whoever else knew it. */
function held(dataDir: string): Source[] {
  return memories(dataDir).flatMap(({ sources }) => sources);
}

function removeLeft(firewalld: Firewalld, dataDir: string): void {
  for (const { path, sources } of memories(dataDir, left)) {
    if (removeAll(firewalld, sources, held(dataDir))) removeFile(path);
  }
}

/** All but those of others; whether none is left. */
function removeAll(firewalld: Firewalld, sources: readonly Source[], others: readonly Source[]): boolean {
  const still = sources.filter((one) => !isAmong(one, others) && !firewalld.remove(one));
  return still.length === 0;
}

function sourcesOf({ zone }: Config, addresses: readonly Ip[]): Source[] {
  return addresses.map((ip) => ({ zone, address: hostText(ip) }));
}

function connected(call: Call): Firewalld {
  const firewalld = new Firewalld(call.log);
  call.onEnd(() => firewalld.close());
  return firewalld;
}
