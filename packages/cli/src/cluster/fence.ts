/** `cnitool ipam fence NODE`: to ask a node for its blocks, or to take them from one that is off for good. */
import type { FenceAnswer } from '@cni-ts/cluster/agent-talk';
import { many } from '../many.ts';
import { CannotLookError, type VerbCall } from '../verb.ts';
import { askAgent, isRefusal, refusalText } from './agent.ts';
import type { SpaceRow, Told } from './spaces.ts';

export interface FenceReport {
  readonly node: string;
  readonly off: boolean;
  /** False: it is only told what would be. */
  readonly done: boolean;
  readonly alive: boolean;
  /** What the node held before. */
  readonly held: readonly { readonly space: string; readonly block: string; readonly network: string }[];
  readonly returned: readonly string[];
  /** In use: they return when their containers are gone. */
  readonly waiting: readonly string[];
  /** Why it was, or would be, refused. */
  readonly refused?: string;
}

/** What `--off` says in the name of whoever writes it. */
export const oath = (node: string) =>
  `--off swears: ${node} is off, no container of it runs any more, and it comes back only through a boot; else addresses are given twice`;

export function fence(
  socket: string,
  node: string,
  { off, yes }: { readonly off: boolean; readonly yes: boolean },
  told: Told,
  rows: readonly SpaceRow[],
): FenceReport {
  const known = told.nodes.find((one) => one.node === node);
  const held = rows.flatMap(({ space, blocks }) =>
    blocks.flatMap(({ block, network, node: of }) => (of === node ? [{ space, block, network }] : [])),
  );
  if (!known && held.length === 0) {
    const names = told.nodes.map((one) => one.node).join(', ');
    throw new CannotLookError(
      `etcd knows no node ${node}, and no block of one; there are ${names || 'none'}`,
    );
  }
  const alive = known?.alive ?? false;
  const report = { node, off, alive, held, done: false, returned: [], waiting: [] };
  if (!yes) {
    const refused = off && alive ? `${node} is alive: power it off, or wait a minute after that` : undefined;
    return { ...report, ...(refused !== undefined && { refused }) };
  }
  const answer = askAgent<FenceAnswer>(socket, { ask: 'fence', node, off });
  if (isRefusal(answer)) return { ...report, refused: refusalText(answer) };
  return { ...report, done: true, returned: answer.returned, waiting: answer.waiting };
}

export function fenceText({ node, off, done, alive, held, returned, waiting, refused }: FenceReport): string {
  const lines: string[] = [];
  if (!done) {
    const what = off ? 'would take' : 'would ask for';
    lines.push(...held.map((one) => `${what} ${one.block} of network ${one.network}, space ${one.space}`));
    if (held.length === 0) lines.push(`${node} holds nothing`);
    if (off) lines.push(oath(node));
    else if (alive) {
      lines.push(
        `${node} would claim no more, and give back what is empty; what is in use waits for its containers`,
      );
    } else {
      lines.push(
        `${node} is away, and hears nothing until it is back; if it is off for good: cnitool ipam fence ${node} --off`,
      );
    }
    if (refused !== undefined) lines.push(`✗ refused: ${refused}`);
    lines.push(refused === undefined ? 'nothing was done: --yes does it' : 'nothing was done');
  } else {
    lines.push(...returned.map((one) => `returned ${one}`), ...waiting.map((one) => `waits, in use: ${one}`));
    const more = off ? '' : alive ? '' : `; ${node} is away, and hears it when it is back`;
    lines.push(`${many(returned.length, 'block')} returned, ${waiting.length} in use${more}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** A refusal, and what is left to do or to wait for, ends with 1. */
export function fenceEnds({ done, waiting, held, refused }: FenceReport, call: Pick<VerbCall, 'ends'>): void {
  if (refused !== undefined || waiting.length > 0 || (!done && held.length > 0)) call.ends(1);
}
