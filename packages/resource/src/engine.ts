/** What the verbs do with a list of resources. */
import { errnoOf } from '@cni-ts/libc/syscall-error';
import type { NetlinkRequest } from '@cni-ts/netlink/socket';
import type { Change } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Drift, Resource } from './resource.ts';
import type { Site } from './site.ts';

/** ADD: makes all of them in their order, from that place on. Requests of neighbours in one place go to the kernel in one
 *  message. There is a promise only where one of them takes its time. */
export function ensureAll(site: Site, resources: readonly Resource[], from = 0): void | Promise<void> {
  const { log } = site.request.undo;
  let neighbours: Resource[] = [];
  for (let i = from; i < resources.length; i++) {
    const one = resources[i]!;
    if (neighbours.length > 0 && (!one.request || neighbours[0]!.at !== one.at)) {
      send(site, neighbours);
      neighbours = [];
    }
    if (one.request) {
      neighbours.push(one);
      continue;
    }
    log?.step(nameOf(one, site));
    const done = one.ensure?.(site);
    if (done) return done.then(() => ensureAll(site, resources, i + 1));
  }
  if (neighbours.length > 0) send(site, neighbours);
  log?.step('other work');
}

/** The first refusal that is none of the fine ones is thrown: the kernel has worked on, and all goes with the link. */
function send(site: Site, resources: readonly Resource[]): void {
  const { log } = site.request.undo;
  log?.step(resources.map((one) => nameOf(one, site)).join('; '));
  const requests: NetlinkRequest<never>[] = [];
  for (let i = 0; i < resources.length; i++) requests.push(resources[i]!.request!(site));
  const refused = site.at(resources[0]!.at ?? 'container').route.sendAll(requests);
  if (!refused) return;
  for (const [place, error] of refused) {
    const one = resources[place]!;
    if (one.fine?.(errnoOf(error), site)) continue;
    const what = one.failure?.() ?? `failed to make ${one.describe(site)}`;
    throw new Error(`${what}: ${error.message}${one.advice?.(error) ?? ''}`, { cause: error });
  }
}

/** A step of the log. What a description is made of may be there already where it is told of what is still to be made; no
 *  call fails for its log. */
function nameOf(one: Resource, site: Site): string {
  try {
    return one.describe(site).split('\n').join('; ');
  } catch (error) {
    return `a resource (${errorText(error)})`;
  }
}

/** CHECK: everything that differs, or what hides the rest. */
export function differencesOf(site: Site, resources: readonly Resource[]): Drift[] {
  const all: Drift[] = [];
  const { log } = site.request.undo;
  for (const one of resources) {
    log?.step(`check ${nameOf(one, site)}`);
    for (const drift of one.differences(site)) {
      all.push(drift);
      if (drift.hides) return all;
    }
  }
  return all;
}

/** Makes everything that differs as it must be, in the order of the list, and tells what differed. Twice changes
 *  nothing. What is as it must be is not touched. */
export async function repairAll(site: Site, resources: readonly Resource[]): Promise<Drift[]> {
  const repaired: Drift[] = [];
  const { log } = site.request.undo;
  for (const one of resources) {
    log?.step(`repair ${nameOf(one, site)}`);
    const drift = one.differences(site);
    if (drift.length === 0) continue;
    if (!(await one.mend?.(site))) await ensureAll(site, [one]);
    site.forget();
    repaired.push(...drift);
  }
  return repaired;
}

/** A dry run: throws what ensureAll would throw, as far as that can be known without a change. */
export function foreseeAll(site: Site, resources: readonly Resource[], note: (text: string) => void): void {
  for (const one of resources) one.foresee?.(site, note);
}

/** A dry run: what ensureAll would make or change. Nothing is touched. */
export function changesOf(site: Site, resources: readonly Resource[]): Change[] {
  return resources
    .filter((one) => !one.implied && one.differences(site).length > 0)
    .flatMap((one) => {
      const sign = one.isThere?.(site) ? '~' : '+';
      return one
        .describe(site)
        .split('\n')
        .filter((text) => text !== '')
        .map((text): Change => ({ sign, text }));
    });
}
