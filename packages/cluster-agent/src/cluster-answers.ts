/** Answers about the whole cluster: who holds what, and nodes that are to give it back. */
import { setTimeout as pause } from 'node:timers/promises';
import type { FenceAnswer, SpacesAnswer } from '@cni-ts/cluster/agent-talk';
import { blockText } from '@cni-ts/cluster/block';
import type { Entry } from './ledger.ts';
import type { Asked, Member } from './member.ts';
import { Refused, unanswered } from './refusal.ts';

/** How long a node that was asked for its blocks may take until what it has still is told. */
const fenceWaitMs = 3000;
const fenceLookMs = 200;
const longMs = 8000;

export async function spacesAnswer(
  members: readonly Member[],
  space: string | undefined,
): Promise<SpacesAnswer> {
  const spaces = new Map<string, SpacesAnswer['spaces'][number]['blocks'][number][]>();
  const nodes: SpacesAnswer['nodes'][number][] = [];
  for (const member of members) {
    const filter = space === undefined ? {} : { space };
    const entries = answered(member, await member.entries(filter, longMs));
    for (const one of entries) {
      const { node, network, time, owner } = one;
      const its = spaces.get(one.space) ?? [];
      spaces.set(one.space, its);
      its.push({ block: blockText(one), node, network, since: time, ...(owner !== undefined && { owner }) });
    }
    const known = answered(member, await member.ask('nodes', (ledger) => ledger.nodes(), longMs));
    for (const { node, alive, since, version, fencing } of known) {
      nodes.push({ node, alive, since, version, fencing });
    }
  }
  return { ok: true, spaces: [...spaces].map(([name, blocks]) => ({ space: name, blocks })), nodes };
}

/** `drainOwn`: makes this node's own networks look at once. */
export async function fenceAnswer(
  member: Member,
  node: string,
  off: boolean,
  drainOwn: () => void,
): Promise<FenceAnswer> {
  if (off) return fenceOff(member, node);
  const nodes = answered(member, await member.ask('nodes', (ledger) => ledger.nodes(), longMs));
  if (!nodes.some((one) => one.node === node)) throw unknown(member, node, nodes);
  const before = await entriesOf(member, node);
  answered(member, await member.ask('fence', (ledger) => ledger.askToFence(node), longMs));
  if (node === member.node) {
    member.drain(true);
    drainOwn();
  }
  const until = performance.now() + fenceWaitMs;
  let after = await entriesOf(member, node);
  while (after.length > 0 && performance.now() < until) {
    await pause(fenceLookMs);
    after = await entriesOf(member, node);
  }
  const left = new Set(after.map(blockText));
  const returned = before.map(blockText).filter((one) => !left.has(one));
  return { ok: true, returned, waiting: [...left] };
}

async function fenceOff(member: Member, node: string): Promise<FenceAnswer> {
  if (node === member.node && member.registered) {
    throw new Refused(`${node} is this node, and it is not off`, 'say it on another node');
  }
  const answer = answered(member, await member.ask('fence', (ledger) => ledger.fenceOff(node), longMs));
  if (answer === 'alive') {
    throw new Refused(
      `${node} is alive: its agent was heard less than a minute ago`,
      'power it off and wait a minute; if only its blocks are wanted, leave --off away',
    );
  }
  if (answer === 'unknown node') {
    throw unknown(
      member,
      node,
      answered(member, await member.ask('nodes', (ledger) => ledger.nodes(), longMs)),
    );
  }
  return { ok: true, returned: answer.map(blockText), waiting: [] };
}

async function entriesOf(member: Member, node: string): Promise<Entry[]> {
  return answered(member, await member.entries({}, longMs)).filter((one) => one.node === node);
}

function answered<T>(member: Member, answer: Asked<T>): T {
  if (answer.ok) return answer.value;
  throw unanswered(member, answer.why);
}

function unknown(member: Member, node: string, nodes: readonly { node: string }[]): Refused {
  const names = nodes.map((one) => one.node).join(', ') || 'none';
  return new Refused(`etcd (${member.name}) knows no node ${node}`, `it knows ${names}`);
}
