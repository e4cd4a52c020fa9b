/**
 * The third backend: the attachment's addresses as sources of a zone of firewalld, and the memory of them.
 *
 * firewalld keeps what it was told in its permanent configuration, so an address may be left there when DEL comes while
 * firewalld does not run. That does not hold up DEL: the memory is kept under another name, and whoever talks to
 * firewalld next takes the address out.
 */
import type { Request } from '@cni-ts/skeleton/plugin';
import type { Config } from './config.ts';
import type { Firewalld } from './firewalld.ts';
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

export async function addToFirewalld(request: Request<Config>, planned: Plan): Promise<void> {
  const { config, undo } = request;
  const sources = sourcesOf(config, planned);
  const firewalld = await connected(request);
  rememberSources(config.dataDir, planned.owner, sources, undo);
  for (const { zone, address } of sources) {
    undo.add(`${address} in ${zone} zone`, async () => {
      await firewalld.remove(zone, address);
    });
    await firewalld.add(zone, address);
  }
  takeOver(config.dataDir, planned.owner, sources);
  await removeLeft(firewalld, config.dataDir);
}

export async function removeFromFirewalld(
  request: Request<Config>,
  { owner, addresses }: Pick<Plan, 'owner' | 'addresses'>,
): Promise<void> {
  const { config } = request;
  const remembered = rememberedSources(config.dataDir, owner);
  const mayKnow = remembered.length || (addresses.length && (config.backend ?? 'firewalld') === 'firewalld');
  if (!mayKnow) return;
  if (!(await firewalldRuns())) {
    if (remembered.length) leave(request, keepAsLeft(config.dataDir, owner));
    return;
  }
  const told = sourcesOf(config, { addresses }).filter((one) => !isAmong(one, remembered));
  const others = othersSources(config.dataDir, owner);
  const firewalld = await connected(request);
  const all = await removeAll(firewalld, [...remembered, ...told], others);
  if (all) forgetSources(config.dataDir, owner);
  else if (remembered.length) leave(request, keepAsLeft(config.dataDir, owner));
  await removeLeft(firewalld, config.dataDir);
}

export async function differencesInFirewalld(request: Request<Config>, planned: Plan): Promise<string[]> {
  const firewalld = await connected(request);
  const drift: string[] = [];
  for (const { zone, address } of sourcesOf(request.config, planned)) {
    if (!(await firewalld.has(zone, address))) {
      drift.push(`failed to find the address ${address} in ${zone} zone`);
    }
  }
  return drift;
}

/** Takes out what attachments have that are not valid any more. */
export async function gcInFirewalld(request: Request<Config>): Promise<void> {
  const { config, network, validAttachments } = request;
  for (const path of staleSources(config.dataDir, network, validAttachments)) keepAsLeft(path);
  if (!leftSources(config.dataDir).length || !(await firewalldRuns())) return;
  await removeLeft(await connected(request), config.dataDir);
}

function leave(request: Request<Config>, path: string): void {
  request.log(
    `firewall: firewalld could not be told to forget the addresses in ${path}; it will be, at the next call`,
  );
}

async function removeLeft(firewalld: Firewalld, folder: string): Promise<void> {
  const left = leftSources(folder);
  if (!left.length) return;
  const held = othersSources(folder);
  for (const { path, sources } of left) {
    if (await removeAll(firewalld, sources, held)) forgetLeft(path);
  }
}

/** All but those of others; whether none is left. */
async function removeAll(
  firewalld: Firewalld,
  sources: readonly Source[],
  others: readonly Source[],
): Promise<boolean> {
  let all = true;
  for (const one of sources) {
    if (!isAmong(one, others) && !(await firewalld.remove(one.zone, one.address))) all = false;
  }
  return all;
}

function isAmong(one: Source, others: readonly Source[]): boolean {
  return others.some((two) => sameSource(one, two));
}

function sourcesOf({ zone }: Config, planned: Pick<Plan, 'addresses'>): Source[] {
  return planned.addresses.map((ip) => ({ zone, address: hostText(ip) }));
}

/** The D-Bus library is loaded here, and nowhere else. */
async function connected(request: Request<Config>): Promise<Firewalld> {
  const { connectFirewalld } = await import('./firewalld.ts');
  const firewalld = await connectFirewalld(request.log);
  request.onEnd(firewalld.close);
  return firewalld;
}
