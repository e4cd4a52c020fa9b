/**
 * Who is really alive: what cache, namespaces and links of this node tell of an attachment. What cannot be known counts as
 * alive, for its address would go to somebody else.
 */
import { bootTime } from '@cni-ts/ipam-kit/boot-time';
import { tryStat } from '@cni-ts/libc/file-status';
import { namespaceLives } from '@cni-ts/libc/netns';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { Netlink } from '@cni-ts/netlink/socket';
import { listLinks } from '@cni-ts/rtnetlink/link';
import { readLinkOwner } from '@cni-ts/skeleton/link-owner';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import { isSaid } from '@cni-ts/skeleton/owner-of';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { cacheDir } from '@cni-ts/spec/cache-dir';
import { errorText } from '@cni-ts/spec/cni-error';
import { grouped } from '../grouped.ts';
import { rememberedAttachments } from '../remembered-attachments.ts';
import type { VerbCall } from '../verb.ts';
import { addressesHere } from './addresses-here.ts';

/** `boot`: from another life of the host; `namespace`: gone; `forgotten`: nobody remembers it; `runtime`: it knows no such
 *  container. */
export type Cause = 'boot' | 'namespace' | 'forgotten' | 'runtime';

export interface Standing {
  /** Absent: it lives, or may. */
  readonly stale?: Cause;
  /** A clause that says why it is so. */
  readonly why: string;
}

/** A reservation, as far as it is judged by. */
export interface Held {
  readonly address: string;
  readonly containerId: string;
  readonly ifname?: string;
  readonly since: bigint;
}

/** A runtime's word on attachments of its own: undefined where it has none on this one. */
export type Judge = (attachment: CachedAttachment, since: bigint | undefined) => Standing | undefined;

/** An ADD that is going on has a reservation and nothing else yet; the longest ones known take minutes. */
export const youngNs = 600_000_000_000n;

export class Standings {
  /** All attachments that are remembered. */
  readonly cached: readonly CachedAttachment[];
  readonly #byContainer: ReadonlyMap<string, readonly CachedAttachment[]>;
  readonly #unreadable: (network: string) => readonly Attachment[];
  readonly #linkOwners: readonly {
    readonly owner: ReturnType<typeof readLinkOwner>;
    readonly link: string;
  }[];
  readonly #boot = bootTime();
  readonly #now = BigInt(Date.now()) * 1_000_000n;
  readonly #judge: Judge;
  #here: ReadonlyMap<string, string> | undefined;
  readonly #results: string;

  constructor(
    { runtime, note, env }: Pick<VerbCall, 'runtime' | 'note' | 'env'>,
    judge: Judge = () => undefined,
    cached: readonly CachedAttachment[] = rememberedAttachments(runtime),
  ) {
    this.cached = cached;
    this.#byContainer = grouped(cached, ({ network, containerId }) => keyOf(network, containerId));
    const known = new Map<string, readonly Attachment[]>();
    this.#unreadable = (network) => {
      const before = known.get(network);
      if (before) return before;
      const found = runtime.remembered(network).unreadable.flatMap(({ mayBe }) => mayBe);
      known.set(network, found);
      return found;
    };
    this.#linkOwners = linkOwners(note);
    this.#judge = judge;
    this.#results = `${cacheDir(env)}/results`;
  }

  /** Nothing at all is remembered of anybody: the runtime's cache may be elsewhere. */
  get knowsNobody(): boolean {
    return this.cached.length === 0;
  }

  /** Of an attachment that the cache has. */
  ofCached(attachment: CachedAttachment): Standing {
    const { network, containerId, ifname, netns = '' } = attachment;
    const since = tryStat(`${this.#results}/${network}-${containerId}-${ifname}`)?.mtimeNs;
    const judged = this.#judge(attachment, since);
    if (judged) return judged;
    if (netns === '') return { why: 'its namespace is not known' };
    if (namespaceLives(netns)) return { why: `its namespace ${netns} lives` };
    if (this.#isOld(since))
      return { stale: 'boot', why: `it is from before this boot, and its namespace ${netns} is gone` };
    return { stale: 'namespace', why: `its namespace ${netns} is gone` };
  }

  /** Of whoever holds an address. */
  of(network: string, held: Held): Standing {
    const { address, containerId, ifname, since } = held;
    const isIt = (one: Attachment) =>
      one.containerId === containerId && (ifname === undefined || one.ifname === ifname);
    const known = (this.#byContainer.get(keyOf(network, containerId)) ?? []).filter(isIt);
    const standings = known.map((one) => this.ofCached(one));
    const living = standings.find(({ stale }) => stale === undefined);
    if (living) return living;
    const gone = standings[0];
    if (gone?.stale === 'runtime') return gone;
    if (this.#isOld(since)) {
      const more = gone
        ? gone.why.replace('it is from before this boot, and ', ', ').replace(/^its/, ', its')
        : '';
      return { stale: 'boot', why: `it is from before this boot${more}` };
    }
    if (gone) return gone;
    if (this.#unreadable(network).some(isIt)) return { why: 'its entry in the cache cannot be read' };
    const link = this.#linkOf(network, held);
    if (link !== undefined) return { why: `its link ${link} is there, though the cache has no entry of it` };
    if (this.#now - since < youngNs) return { why: 'it is younger than ten minutes: an ADD may be going on' };
    const at = this.#addressesHere().get(address);
    if (at !== undefined)
      return { why: `a link in the namespace ${at} has the address, though the cache has no entry of it` };
    if (this.knowsNobody)
      return { why: 'the cache has no attachment at all, so nobody can tell whether it lives' };
    return {
      stale: 'forgotten',
      why: 'the cache has no attachment of it, and no link of this node has the address',
    };
  }

  /** Attachments of a network that links of the host tell of, with names that are no hashes. */
  linked(network: string): (Attachment & { readonly link: string })[] {
    return this.#linkOwners.flatMap(({ owner, link }) =>
      owner?.network === network ? [{ containerId: owner.containerId, ifname: owner.ifname, link }] : [],
    );
  }

  #linkOf(
    network: string,
    { containerId, ifname }: { containerId: string; ifname?: string },
  ): string | undefined {
    return this.#linkOwners.find(({ owner }) => {
      if (!owner) return false;
      const whose: Owner = { network, containerId, ifname: ifname ?? owner.ifname };
      return isSaid(owner, whose);
    })?.link;
  }

  /** Asked for only where nothing else tells of somebody. */
  #addressesHere(): ReadonlyMap<string, string> {
    this.#here ??= addressesHere();
    return this.#here;
  }

  #isOld(since: bigint | undefined): boolean {
    return since !== undefined && this.#boot !== undefined && since < this.#boot;
  }
}

function keyOf(network: string, containerId: string): string {
  return `${network}\0${containerId}`;
}

/** The host's links that say whose they are. They cannot be there without the other end: a veth pair goes as one. */
function linkOwners(note: (line: string) => void) {
  try {
    const route = Netlink.open('route');
    try {
      return listLinks(route).flatMap(({ name, attributes }) => {
        const owner = readLinkOwner(attributes.ifAlias ?? '');
        return owner ? [{ owner, link: name }] : [];
      });
    } finally {
      route.close();
    }
  } catch (error) {
    note(`links of this node were not looked at: ${errorText(error)}`);
    return [];
  }
}
