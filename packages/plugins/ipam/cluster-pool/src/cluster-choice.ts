/** The choice among the addresses of blocks that this node has borrowed: host-local's, within these. What the blocks cannot
 *  give is asked of the node's agent, and nobody waits for that with the folder's lock. */
import { contains } from '@cni-ts/address/cidr';
import { compareIp, equalIp, formatIp, type Ip, nextIp, parseIp } from '@cni-ts/address/ip';
import { bitsOf, blockText, isInside, single, sizeOf } from '@cni-ts/cluster/block';
import { type BlockList, type HeldBlock, readBlockList } from '@cni-ts/cluster/blocks-file';
import { isFixedOwner } from '@cni-ts/cluster/pin-owner';
import { allocationError, busy, earlierOf, takeFree, takeName, takeThis } from '@cni-ts/ipam-kit/allocation';
import { type Candidate, describe, type Range, rangeOf } from '@cni-ts/ipam-kit/ranges';
import { type Choice, type Given, holderText, isHeldBy, type Store, Wanting } from '@cni-ts/ipam-kit/store';
import type { Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, toCniError } from '@cni-ts/spec/cni-error';
import { AgentCalls, hintOfLowWater } from './agent-calls.ts';
import type { Config } from './config.ts';
import { blockAround, isConfirmed, isOpen, openBlocks } from './node-blocks.ts';
import { between, leftAfter, type PoolRange, segmentsOf } from './pool-range.ts';
import { RestingQueue } from './resting-queue.ts';

/** For one call. What was taken before something was wanted stays taken. */
export function clusterChoice(config: Config): Choice {
  const taken: (Given | undefined)[] = config.ranges.map(() => undefined);
  const agent = new AgentCalls(config);
  let confirmed = false;
  let isFirst = true;
  const confirm = () => {
    agent.confirm();
    confirmed = true;
  };
  return (store, request) => {
    if (isFirst && !store.isGlance) sayPassedOver(config, request);
    isFirst = false;
    const blocks = confirmedBlocks(config, confirmed, confirm);
    const queue = RestingQueue.of(store.where, config.network.cooldown, store.isGlance === true);
    return config.ranges.map((range, i) => {
      const before = taken[i];
      if (before && isHeldBy(store.holder(formatIp(before.cidr.ip)), request)) return before;
      const here = new RangeChoice({ config, agent, store, request, blocks, queue }, i);
      try {
        const { ip, range: of } = here.reserve();
        const given = { cidr: { ip, prefix: of.subnet.prefix }, gateway: range.gateway };
        taken[i] = given;
        return given;
      } catch (thrown) {
        throw thrown instanceof Wanting ? thrown : allocationError(i, thrown);
      }
    });
  };
}

function sayPassedOver({ passedOver }: Config, request: Request<unknown>): void {
  if (passedOver.length === 0) return;
  request.log(`cluster-pool: no effect here have: ${passedOver.join(', ')}`);
}

/** After a boot others may have them: a node that was taken for dead has lost its blocks meanwhile. */
function confirmedBlocks(
  { blocksPath, agentSocket }: Config,
  confirmed: boolean,
  confirm: () => void,
): BlockList | undefined {
  const file = readBlockList(blocksPath);
  if (file && isConfirmed(file)) return file;
  if (!confirmed) {
    throw new Wanting(
      `the word of cluster-agent (${agentSocket}) that this node's blocks are still its own`,
      confirm,
    );
  }
  if (!file) return undefined;
  throw new CniError(
    ErrorCode.tryAgainLater,
    `this node's blocks (${blocksPath}) have not been confirmed since the node was booted`,
    'cluster-agent does that as soon as it reaches etcd: its log ("journalctl -u cluster-agent") says what keeps it',
  );
}

interface Scene {
  readonly config: Config;
  readonly agent: AgentCalls;
  readonly store: Store;
  readonly request: Request<unknown>;
  /** Those of this node; undefined where it has none. */
  readonly blocks: BlockList | undefined;
  readonly queue: RestingQueue;
}

/** An address of one range. */
class RangeChoice {
  readonly #scene: Scene;
  readonly #index: number;
  readonly #range: PoolRange;

  constructor(scene: Scene, index: number) {
    this.#scene = scene;
    this.#index = index;
    this.#range = scene.config.ranges[index]!; // it is called for each of them
  }

  /** All blocks that addresses are given of. */
  get #open(): readonly HeldBlock[] {
    this.#allOpen ??= openBlocks(this.#scene.blocks?.all ?? [], this.#scene.config.network.space);
    return this.#allOpen;
  }
  #allOpen: readonly HeldBlock[] | undefined;

  /** What of the range lies in them. */
  get #segments(): readonly Range[] {
    this.#allSegments ??= segmentsOf(this.#range, this.#open);
    return this.#allSegments;
  }
  #allSegments: readonly Range[] | undefined;

  reserve(): Candidate {
    const { config, store, request } = this.#scene;
    const wanted = config.wanted[this.#index];
    if (wanted) return this.#thisOne(wanted);
    const earlier = earlierOf(store, this.#range.set, request);
    if (config.owner !== undefined) return this.#ownersOwn(config.owner);
    if (earlier && this.#segmentAround(earlier.ip) && this.#take(earlier)) return earlier;
    return this.#anyRested() ?? this.#anyNew() ?? this.#fromAgent();
  }

  /** The address that was asked for. */
  #thisOne(ip: Ip): Candidate {
    const { config, agent, store, request, blocks } = this.#scene;
    const name = formatIp(ip);
    const candidate = { ip, range: this.#range.set[0]! }; // it lies in it
    const block = blockAround(blocks?.all ?? [], config.network.space, ip);
    if (block?.state === 'held' && isFor(block, config.owner)) {
      if (takeThis(store, candidate, request, (one) => this.#take(one))) return candidate;
      throw busy(store, this.#range.set, ip);
    }
    if (block?.state === 'held') {
      throw new CniError(
        ErrorCode.internal,
        `requested IP address ${name} is not available in range set ${describe(this.#range.set)}`,
        `it is kept for ${block.owner}`,
      );
    }
    throw this.#want(`the address ${name} for this node alone`, () =>
      agent.fixed(this.#range, name, request),
    );
  }

  /** The address that stays the owner's, wherever it runs. */
  #ownersOwn(owner: string): Candidate {
    const { config, agent, store, request, blocks } = this.#scene;
    const range = this.#range.set[0]!; // a range of its own in each
    for (const block of blocks?.all ?? []) {
      const ip = block.first;
      const isOwn = block.owner === owner && block.state === 'held' && block.space === config.network.space;
      if (!isOwn || block.length !== bitsOf(ip) || !rangeOf([range], ip) || !this.#isAllowed(ip)) continue;
      const candidate = { ip, range };
      if (takeThis(store, candidate, request, (one) => this.#take(one))) return candidate;
      const name = formatIp(ip);
      throw new CniError(
        ErrorCode.tryAgainLater,
        `the address ${name} of ${owner} is still in use`,
        `${name} is held by ${holderText(store.holder(name))}: its DEL gives it free`,
      );
    }
    throw this.#want(`the address of ${owner}`, () => agent.sticky(this.#range, owner));
  }

  /** Of those that have rested the one that did for longest. */
  #anyRested(): Candidate | undefined {
    const { store, queue } = this.#scene;
    const useless: string[] = [];
    let found: Candidate | undefined;
    queue.rested((name) => {
      const ip = parseIp(name);
      const range = ip && this.#segmentAround(ip);
      if (ip && range && this.#take({ ip, range }, name)) {
        found = { ip, range };
        return true;
      }
      if (!ip || !this.#isAnyRanges(ip) || !store.isFree(name)) useless.push(name);
      return false;
    });
    if (!store.isGlance) for (const name of useless) queue.remove(name);
    return found;
  }

  /** Whether some range may give it one day: then it stays in the queue. */
  #isAnyRanges(ip: Ip): boolean {
    const { config } = this.#scene;
    return config.ranges.some((range) => {
      const segment = rangeOf(segmentsOf(range, this.#open), ip);
      return segment !== undefined && !equalIp(ip, segment.gateway);
    });
  }

  /** The next that is neither taken nor resting, from where the last one was. */
  #anyNew(): Candidate | undefined {
    const { config, store, request, queue } = this.#scene;
    const take = (candidate: Candidate) => {
      const name = formatIp(candidate.ip);
      return (queue.isEmpty || !queue.has(name)) && this.#take(candidate, name);
    };
    // The walk over all of them begins with what is ahead: other blocks need not be read for that.
    const last = store.cursor(this.#index, request.log);
    const ahead = last && this.#ahead(last);
    let found = ahead && takeFree(store, [ahead.segment], undefined, take);
    if (!found && this.#segments.length > 0) found = takeFree(store, this.#segments, last, take);
    if (found && !store.isGlance) {
      store.setCursor(this.#index, found.ip);
      const block = found.range === ahead?.segment ? ahead.block : undefined;
      if (this.#isLow(found, last, block)) request.onEnd(() => hintOfLowWater(config, this.#range));
    }
    return found;
  }

  /** What comes after the address that was given last, without a gap, in its block. */
  #ahead(last: Ip): { readonly block: HeldBlock; readonly segment: Range } | undefined {
    const block = this.#openAround(last);
    const segment = block && rangeOf(segmentsOf(this.#range, [block]), last);
    if (!block || !segment || compareIp(segment.end, last) <= 0) return undefined;
    return { block, segment: { ...segment, start: nextIp(last) } };
  }

  #openAround(ip: Ip): HeldBlock | undefined {
    const { blocks, config } = this.#scene;
    return blocks?.around(ip, (one) => isOpen(one, config.network.space));
  }

  /** What of the range may be given and has this address. */
  #segmentAround(ip: Ip): Range | undefined {
    const block = this.#openAround(ip);
    const segment = block && rangeOf(segmentsOf(this.#range, [block]), ip);
    return segment === undefined || equalIp(ip, segment.gateway) ? undefined : segment;
  }

  /** Fewer than a quarter of a block lie ahead: the agent gets another before anybody has to wait for it. It is told whenever
   *  what is left has halved, for a word may be lost. */
  #isLow({ ip, range }: Candidate, last: Ip | undefined, block = this.#openAround(ip)): boolean {
    if (!block) return false;
    const few = Math.max(1, sizeOf(block) / 4);
    const near = between(ip, range.end);
    if (near >= few) return false;
    const { config, blocks } = this.#scene;
    const newest = blocks?.last;
    const isLast = newest === block;
    // Mostly it has come because of an earlier word: then nothing else need be read.
    if (newest && !isLast && isOpen(newest, config.network.space)) {
      const [first, ...others] = segmentsOf(this.#range, [newest]);
      if (first && others.length === 0 && between(first.start, first.end) >= few) return false;
    }
    const left = leftAfter(isLast ? segmentsOf(this.#range, [block]) : this.#segments, ip);
    if (left >= few) return false;
    const isOn = last && isInside(block, single(last)) && compareIp(last, ip) < 0;
    const before = isOn ? left + between(last, ip) : few;
    return before >= few || Math.clz32(before) !== Math.clz32(left);
  }

  #fromAgent(): never {
    const { set } = this.#range;
    throw this.#want(`a block of addresses of ${describe(set)} for this node`, () =>
      this.#scene.agent.block(this.#range),
    );
  }

  #want(what: string, ask: () => void): Wanting {
    const { config } = this.#scene;
    return new Wanting(`${what}, by cluster-agent (${config.agentSocket})`, () => {
      try {
        ask();
      } catch (thrown) {
        throw allocationError(this.#index, this.#withStory(thrown));
      }
    });
  }

  /** What is the matter here, beside what the agent says. */
  #withStory(thrown: unknown): unknown {
    const { queue, config } = this.#scene;
    const error = toCniError(thrown);
    const own = this.#open.filter(({ first }) => first.family === this.#range.set[0]?.start.family);
    const blocks =
      own.length === 0
        ? 'this node has no block of it'
        : `this node's blocks are ${own.map(blockText).join(', ')}`;
    const rest = queue.nextIn;
    const resting =
      rest === undefined
        ? ''
        : `; freed addresses rest for ${config.network.cooldown} s, the next one for ${rest} s more`;
    const cure = `; addresses come back when containers go, and by "cnitool gc ${config.network.network}"`;
    const details = `${error.details}${error.details === '' ? '' : '; '}${blocks}${resting}${cure}`;
    return new CniError(
      error.code,
      `no IP addresses available in range set: ${describe(this.#range.set)}: ${error.message}`,
      details,
      { cause: thrown },
    );
  }

  #isAllowed(ip: Ip): boolean {
    const { set, exclude } = this.#range;
    return (
      !exclude.some(({ cidr }) => contains(cidr, ip)) && !set.some(({ gateway }) => equalIp(gateway, ip))
    );
  }

  /** It is out of the queue before it is taken: a call that is killed between leaves one that has rested, not one that
   *  seems to have. */
  #take({ ip }: Candidate, name = formatIp(ip)): boolean {
    const { store, request, queue } = this.#scene;
    if (!queue.isEmpty && !store.isGlance) queue.remove(name);
    return takeName(store, name, request);
  }
}

/** Whether who asks for an address by name may have one of the block. */
function isFor({ owner }: HeldBlock, asking: string | undefined): boolean {
  return owner === undefined || owner === asking || isFixedOwner(owner);
}
