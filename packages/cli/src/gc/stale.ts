/**
 * `cnitool gc --stale` and `--runtime`: what nobody lives for any more, of all networks or of one. containerd never calls
 * GC, so somebody has to. It tells, and with --yes removes: attachments by DEL through the chain they were made by, then
 * the plugins' GC, then reservations that are left.
 */
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import { isNameOf } from '@cni-ts/skeleton/link-owner';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { grouped } from '../grouped.ts';
import { release } from '../ipam/release.ts';
import { reservationsIn } from '../ipam/reservations.ts';
import { type Standing, Standings, youngNs } from '../ipam/standing.ts';
import { type Holder, type NetworkView, survey, whose } from '../ipam/survey.ts';
import { many } from '../many.ts';
import { rememberedAttachments } from '../remembered-attachments.ts';
import { CannotLookError, UsageError, type VerbCall } from '../verb.ts';
import { removeLeftRules } from './leftovers.ts';
import { podJudge } from './pods.ts';

interface Gone {
  readonly attachment: CachedAttachment;
  readonly standing: Standing;
  readonly addresses: readonly string[];
}

interface Leaked {
  readonly holder: Holder;
  readonly folder: string;
}

interface Plan {
  readonly name: string;
  readonly list: NetworkList | undefined;
  readonly gone: readonly Gone[];
  /** Reservations of no attachment that is remembered. */
  readonly leaked: readonly Leaked[];
  /** Links of the host that name attachments which the cache does not have. Their other end is there, so they stay. */
  readonly forgotten: readonly (Attachment & { readonly link: string })[];
  /** Where its reservations are. */
  readonly folders: readonly string[];
  /** Whom plugins are told to keep. */
  readonly valid: readonly Attachment[];
}

export async function collectStale(call: VerbCall): Promise<string> {
  const { options, args, note } = call;
  for (const other of ['keep', 'all', 'dry-run']) {
    if (options(other) !== undefined)
      throw new UsageError(`--${other} does not go with --stale and --runtime`);
  }
  const runtime = options('runtime')?.at(-1);
  // The cache is read before the runtime is asked: what was attached by then, the runtime has.
  const before = rememberedAttachments(call.runtime);
  const judge = runtime === undefined ? undefined : podJudge(runtime, call.env);
  const standings = new Standings(call, judge, before);
  const { networks } = survey(call, standings);
  const [only] = args;
  const meant = only === undefined ? networks : networks.filter(({ network }) => network.name === only);
  if (meant.length === 0 && only !== undefined) {
    throw new CannotLookError(`no network "${only}" is configured or remembered here`);
  }
  const plans: Plan[] = [];
  for (const one of meant) {
    if (one.network.list?.disableGC) note(`network ${one.network.name} says disableGC, and is left as it is`);
    else plans.push(planFor(one, call, standings));
  }
  const yes = options('yes') !== undefined;
  const asJson = options('json') !== undefined;
  const found = plans.flatMap((one) => [...one.gone, ...one.leaked]).length;
  const say = asJson ? () => undefined : call.say;
  if (!yes) {
    for (const one of plans) tell(one, 'would remove', say);
    if (found > 0) call.ends(1);
  } else {
    for (const one of plans) tell(one, 'removing', say);
    await removeAll(plans, call, standings);
  }
  if (asJson) return `${JSON.stringify(jsonOf(plans, yes), undefined, 2)}\n`;
  return summary(plans, yes, only, runtime);
}

function planFor({ network, stores }: NetworkView, { runtime }: VerbCall, standings: Standings): Plan {
  const { name, list } = network;
  const holders = stores.flatMap(({ holders: of, store }) =>
    of.map((holder) => ({ holder, folder: store.folder })),
  );
  const byContainer = grouped(holders, ({ holder }) => holder.containerId);
  const isOf = (one: Attachment, { ifname }: Holder) => ifname === undefined || ifname === one.ifname;
  const judged = network.attachments.map((attachment) => ({
    attachment,
    standing: standings.ofCached(attachment),
  }));
  const gone = judged
    .filter(({ standing }) => standing.stale !== undefined)
    .map((one) => ({
      ...one,
      addresses: (byContainer.get(one.attachment.containerId) ?? [])
        .filter(({ holder }) => isOf(one.attachment, holder))
        .map(({ holder }) => holder.address),
    }));
  const goneOf = grouped(gone, ({ attachment }) => attachment.containerId);
  const isCovered = (holder: Holder) =>
    (goneOf.get(holder.containerId) ?? []).some(({ attachment }) => isOf(attachment, holder));
  const leaked = holders.filter(({ holder }) => holder.standing.stale !== undefined && !isCovered(holder));
  const linked = standings
    .linked(name)
    .filter((one) => !gone.some(({ attachment }) => isNamedBy(attachment, one)));
  const forgotten = linked.filter((one) => !network.attachments.some((known) => isNamedBy(known, one)));
  // All that lives or may: in the cache, by a reservation of an ADD that is going on, by a link that is there.
  const living = [
    ...judged.filter(({ standing }) => standing.stale === undefined).map(({ attachment }) => attachment),
    ...runtime.remembered(name).unreadable.flatMap(({ mayBe }) => mayBe),
    ...holders
      .filter(({ holder }) => holder.standing.stale === undefined)
      .map(({ holder: { containerId, ifname = 'eth0' } }) => ({ containerId, ifname })),
    ...linked,
  ];
  return {
    name,
    list,
    gone,
    leaked,
    folders: stores.map(({ store }) => store.folder),
    valid: unique(living),
    forgotten,
  };
}

function unique(all: readonly Attachment[]): Attachment[] {
  const found = new Map<string, Attachment>();
  for (const { containerId, ifname } of all) found.set(`${containerId}\0${ifname}`, { containerId, ifname });
  return [...found.values()];
}

/** An alias has the hash of a very long name. */
function isNamedBy(one: Attachment, link: Attachment): boolean {
  return isNameOf(link.containerId, one.containerId) && isNameOf(link.ifname, one.ifname);
}

function isSame(one: Attachment, other: Attachment): boolean {
  return one.containerId === other.containerId && one.ifname === other.ifname;
}

function tell({ name, gone, leaked, forgotten }: Plan, what: string, say: (line: string) => void): void {
  for (const { attachment, standing, addresses } of gone) {
    const held = addresses.length === 0 ? '' : ` (${addresses.join(', ')})`;
    const { containerId, ifname } = attachment;
    const code = standing.stale === 'runtime' ? 'CNI4021' : 'CNI4020';
    say(`${what} ${code} ${name} ${containerId}/${ifname}${held}: ${standing.why}`);
  }
  for (const { holder } of leaked) {
    say(
      `${what} CNI2020 ${name} reservation of ${holder.address} for ${whose(holder)}: ${holder.standing.why}`,
    );
  }
  for (const { containerId, ifname, link } of forgotten) {
    say(
      `kept ${name} ${containerId}/${ifname}: its link ${link} is there, though the cache has no entry of it; ` +
        `unless an ADD is going on, cnitool gc ${name} removes it`,
    );
  }
}

/** What was attached while we looked, and while others were removed. */
function addedSince({ name, gone, folders }: Plan, { runtime }: VerbCall): Attachment[] {
  const cached = runtime.remembered(name).attachments;
  const reserved = folders
    .flatMap((folder) => reservationsIn(folder).reservations)
    .filter(({ since }) => since > BigInt(Date.now()) * 1_000_000n - youngNs)
    .map(({ containerId, ifname = 'eth0' }) => ({ containerId, ifname }));
  return [...cached, ...reserved].filter((one) => !gone.some(({ attachment }) => isSame(attachment, one)));
}

/** Every network, whatever fails with one; then one error with all that failed. */
async function removeAll(plans: readonly Plan[], call: VerbCall, standings: Standings): Promise<void> {
  const failures: unknown[] = [];
  for (const plan of plans) {
    const { name, list, gone, leaked } = plan;
    if (gone.length + leaked.length === 0) continue;
    try {
      if (list)
        await call.runtime.gcNetworkList(list, { valid: unique([...plan.valid, ...addedSince(plan, call)]) });
    } catch (error) {
      failures.push(new Error(`network ${name}: ${textOf(error)}`, { cause: error }));
    }
    for (const { attachment, addresses } of gone) {
      const { containerId, ifname } = attachment;
      try {
        removeLeftRules({ network: name, containerId, ifname }, addresses);
      } catch (error) {
        failures.push(
          new Error(`network ${name}: rules of ${containerId}: ${textOf(error)}`, { cause: error }),
        );
      }
    }
    for (const { holder, folder } of leaked) {
      const { address, containerId, ifname = 'eth0', since } = holder;
      try {
        removeLeftRules({ network: name, containerId, ifname }, [address]);
        const isOther = (now: { containerId: string; since: bigint }) =>
          now.containerId === containerId && now.since === since ? undefined : 'it is reserved anew';
        release(folder, name, standings, isOther, address);
      } catch (error) {
        failures.push(
          new Error(`network ${name}: reservation of ${address}: ${textOf(error)}`, { cause: error }),
        );
      }
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(textOf).join('\n'));
}

function summary(
  plans: readonly Plan[],
  yes: boolean,
  only: string | undefined,
  runtime: string | undefined,
): string {
  const gone = plans.reduce((sum, one) => sum + one.gone.length, 0);
  const leaked = plans.reduce((sum, one) => sum + one.leaked.length, 0);
  const counted = `${many(gone, 'attachment')} and ${many(leaked, 'leaked reservation')}`;
  if (gone + leaked === 0) return 'nothing is stale\n';
  if (yes) return `${counted} removed\n`;
  const which = [only, runtime === undefined ? '--stale' : `--runtime ${runtime}`].filter(Boolean).join(' ');
  return `${counted} would be removed, nothing was touched; cure: cnitool gc ${which} --yes\n`;
}

function jsonOf(plans: readonly Plan[], removed: boolean): object {
  return {
    removed,
    networks: plans.map(({ name, gone, leaked, valid }) => ({
      network: name,
      attachments: gone.map(({ attachment: { containerId, ifname, netns = '' }, standing, addresses }) => ({
        containerId,
        ifname,
        netns,
        addresses,
        cause: standing.stale,
        why: standing.why,
      })),
      reservations: leaked.map(({ holder: { address, containerId, ifname, standing } }) => ({
        address,
        containerId,
        ...(ifname !== undefined && { ifname }),
        cause: standing.stale,
        why: standing.why,
      })),
      kept: valid,
    })),
  };
}
