/**
 * The third backend: the attachment's addresses as sources of a zone of firewalld, and the memory of them.
 *
 * firewalld keeps what it was told in its permanent configuration, so an address may be left there when DEL comes while
 * firewalld does not run. That does not hold up DEL: the memory is kept under another name, and whoever talks to
 * firewalld next takes the address out.
 */
import type { Request } from '@cni-ts/skeleton/plugin';
import type { Config } from './config.ts';
import { connectFirewalld, type Firewalld } from './firewalld.ts';
import { firewalldRuns } from './firewalld-presence.ts';
import { hostText, type Plan } from './plan.ts';
import {
  forgetLeft,
  forgetSources,
  keepAsLeft,
  leftSources,
  othersSources,
  rememberedSources,
  rememberSources,
  type Source,
  sameSource,
  staleSources,
  takeOver,
} from './remembered-sources.ts';

export function addToFirewalld(request: Request<Config>, planned: Plan): void {
  const { config, undo } = request;
  const sources = sourcesOf(config, planned);
  const firewalld = connected(request);
  rememberSources(config.dataDir, planned.owner, sources, undo);
  for (const { zone, address } of sources) {
    let isNew = true; // also while nobody knows whether it was added
    undo.add(`${address} in ${zone} zone`, () => {
      if (isNew) firewalld.remove(zone, address);
    });
    isNew = firewalld.add(zone, address);
  }
  takeOver(config.dataDir, planned.owner, sources, undo);
  removeLeft(firewalld, config.dataDir);
}

export function removeFromFirewalld(
  request: Request<Config>,
  config: Config,
  { owner, addresses }: Pick<Plan, 'owner' | 'addresses'>,
): void {
  const remembered = rememberedSources(config.dataDir, owner);
  const mayKnow = remembered.length || (addresses.length && (config.backend ?? 'firewalld') === 'firewalld');
  if (!mayKnow) return;
  if (!firewalldRuns()) {
    if (remembered.length) leave(request, keepAsLeft(config.dataDir, owner));
    return;
  }
  const told = sourcesOf(config, { addresses }).filter((one) => !isAmong(one, remembered));
  const others = othersSources(config.dataDir, owner);
  const firewalld = connected(request);
  const all = removeAll(firewalld, [...remembered, ...told], others);
  if (all) forgetSources(config.dataDir, owner);
  else if (remembered.length) leave(request, keepAsLeft(config.dataDir, owner));
  removeLeft(firewalld, config.dataDir);
}

export function differencesInFirewalld(request: Request<Config>, planned: Plan): string[] {
  const firewalld = connected(request);
  const drift: string[] = [];
  for (const { zone, address } of sourcesOf(request.config, planned)) {
    if (!firewalld.has(zone, address)) {
      drift.push(`failed to find the address ${address} in ${zone} zone`);
    }
  }
  return drift;
}

/** Takes out what attachments have that are not valid any more. */
export function gcInFirewalld(request: Request<Config>): void {
  const { config, network, validAttachments } = request;
  for (const path of staleSources(config.dataDir, network, validAttachments)) keepAsLeft(path);
  if (!leftSources(config.dataDir).length || !firewalldRuns()) return;
  removeLeft(connected(request), config.dataDir);
}

function leave(request: Request<Config>, path: string): void {
  request.log(
    `firewall: firewalld could not be told to forget the addresses in ${path}; it will be, at the next call`,
  );
}

function removeLeft(firewalld: Firewalld, folder: string): void {
  const left = leftSources(folder);
  if (!left.length) return;
  const held = othersSources(folder);
  for (const { path, sources } of left) {
    if (removeAll(firewalld, sources, held)) forgetLeft(path);
  }
}

/** All but those of others; whether none is left. */
function removeAll(firewalld: Firewalld, sources: readonly Source[], others: readonly Source[]): boolean {
  let all = true;
  for (const one of sources) {
    if (!isAmong(one, others) && !firewalld.remove(one.zone, one.address)) all = false;
  }
  return all;
}

function isAmong(one: Source, others: readonly Source[]): boolean {
  return others.some((two) => sameSource(one, two));
}

function sourcesOf({ zone }: Config, planned: Pick<Plan, 'addresses'>): Source[] {
  return planned.addresses.map((ip) => ({ zone, address: hostText(ip) }));
}

function connected(request: Request<Config>): Firewalld {
  const firewalld = connectFirewalld(request.log);
  request.onEnd(firewalld.close);
  return firewalld;
}
