/** Addresses of one owner: fixed ones, sticky ones, and those that another plugin has given before. */
import { setTimeout as pause } from 'node:timers/promises';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import type { ImportAnswer, ImportedAddress, PinQuestion } from '@cni-ts/cluster/agent-talk';
import { type Block, blockText, isInside, single } from '@cni-ts/cluster/block';
import { fixedOwner } from '@cni-ts/cluster/pin-owner';
import { ErrorCode } from '@cni-ts/spec/cni-error';
import { chooseBlock, type NumberedRange, numbered, usableIn } from './choose-block.ts';
import type { Network } from './network.ts';
import { Refused, unanswered } from './refusal.ts';

/** The former node of a pod gives a sticky address back once it sees that it is free. */
const againMs = 100;
const mostTries = 16;

/** Resolves when the address is in the file of blocks. Rejects with Refused. */
export async function pin(network: Network, question: PinQuestion, signal: AbortSignal): Promise<void> {
  const { owner, sticky } = question;
  const ranges = question.ranges.map(numbered);
  const fixed = question.address === undefined ? undefined : parseIp(question.address);
  if (question.address !== undefined && !fixed) {
    throw new Refused(`"${question.address}" is no IP address`, '', ErrorCode.invalidConfig);
  }
  const own = (block: Block) => usableIn(block, ranges) > 0n && (!fixed || isInside(block, single(fixed)));
  for (let tries = 0; tries < mostTries && !signal.aborted; tries++) {
    if (network.blocks().some((one) => one.state === 'held' && one.owner === owner && own(one.block))) return;
    const why = await network.refresh();
    if (why !== undefined) throw unanswered(network.member, why);
    // One that is in the file, and is going back: it will be nobody's in a moment.
    const there = network.hints.find((one) => one.owner === owner && own(one));
    const wanted = fixed ? single(fixed) : (there ?? (await freeAddress(network, ranges)));
    if (!wanted) {
      throw new Refused(
        `no address is free for ${owner} in ${question.ranges.map(({ subnet }) => subnet).join(', ')}`,
        'nodes hold all blocks ("cnitool ipam spaces"): leave a part of the range to sticky addresses, by a range of its own, or make it larger',
      );
    }
    const ending = await network.claim({ first: wanted.first, length: wanted.length }, { owner, sticky });
    if (ending.outcome === 'held') return;
    if (ending.outcome === 'failed') throw unanswered(network.member, ending.why);
    const mine = sticky && there !== undefined;
    if (fixed && !mine) throw taken(network, fixed, ending.takenBy);
    await pause(againMs, undefined, { signal }).catch(() => {}); // reason: the loop sees that it is over
  }
  throw new Refused(
    `${owner} has an address already, and the node that holds it has not yet given it back`,
    'it does once the container is gone there; where that node is gone: "cnitool ipam fence NODE --off"',
  );
}

async function freeAddress(network: Network, ranges: readonly NumberedRange[]): Promise<Block | undefined> {
  const grid = await network.member.grid(network.facts.space);
  if (!grid.ok) throw unanswered(network.member, grid.why);
  const taken = [...network.hints, ...network.blocks().map(({ block }) => block)];
  return chooseBlock({ ranges, blockLength: 128, nodes: 1, largest: grid.value.largest }, taken);
}

function taken(network: Network, ip: Ip, by: string | undefined): Refused {
  const entry = network.hints.find((one) => isInside(one, single(ip)));
  const who = entry ? `node ${entry.node || 'nobody'} by ${blockText(entry)}` : (by ?? 'another node');
  return new Refused(
    `the address ${formatIp(ip)} is not free in the cluster: it is held by ${who}`,
    'start the container on that node, or ask for another address; "cnitool ipam spaces" shows who holds what',
  );
}

const atOnce = 8;

/** Takes over what another plugin has given to containers of this node: each address becomes a pin of its own. The tool has
 *  reserved them. Rejects with Refused. */
export async function importAll(
  network: Network,
  reservations: readonly ImportedAddress[],
  yes: boolean,
  signal: AbortSignal,
): Promise<ImportAnswer> {
  const why = await network.refresh();
  if (why !== undefined) throw unanswered(network.member, why);
  const taken: string[] = [];
  const refused: { address: string; why: string }[] = [];
  const rest = [...reservations];
  const work = async () => {
    for (let one = rest.shift(); one; one = rest.shift()) {
      const against = signal.aborted
        ? 'there was no time left: call again'
        : await importOne(network, one, yes);
      if (against === undefined) taken.push(one.address);
      else refused.push({ address: one.address, why: against });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { ok: true, taken, refused };
}

/** Why not; undefined where it is, or would be, this node's. */
async function importOne(network: Network, one: ImportedAddress, yes: boolean): Promise<string | undefined> {
  const ip = parseIp(one.address);
  if (!ip) return 'it is no IP address';
  const block = single(ip);
  if (network.blocks().some((held) => held.state === 'held' && isInside(held.block, block))) return undefined;
  const other = network.hints.find((entry) => isInside(entry, block));
  if (other)
    return `${blockText(other)} is held by node ${other.node || 'nobody'} for network ${other.network}`;
  if (!yes) return undefined;
  const { outcome, why } = await network.claim(block, { owner: fixedOwner(one), sticky: false });
  if (outcome === 'held') return undefined;
  return why || 'another node took it just before';
}
