/** `cnitool ipam spaces|fence|import`: the addresses that this node shares with a cluster. */
import { type AgentStatus, defaultAgentSocket, type SpacesAnswer } from '@cni-ts/cluster/agent-talk';
import { readText } from '@cni-ts/libc/file';
import { errorText } from '@cni-ts/spec/cni-error';
import { type NetworkView, survey } from '../ipam/survey.ts';
import { Sight } from '../node/sight.ts';
import { CannotLookError, UsageError, type VerbCall } from '../verb.ts';
import { askAgent, isRefusal, refusalText } from './agent.ts';
import { fence, fenceEnds, fenceText } from './fence.ts';
import { sortAllocations, takeOver } from './import.ts';
import { importJson, importText } from './import-report.ts';
import type { PoolStore } from './pool-store.ts';
import { spaceRows, spacesJson, spacesText, type Told } from './spaces.ts';
import { readExport } from './whereabouts-export.ts';

const json = (value: object) => `${JSON.stringify(value, undefined, 2)}\n`;

export function spaces(call: VerbCall, space: string | undefined): string {
  const networks = networksHere(call);
  const told = toldBy(socketOf(call, networks), space);
  const rows = spaceRows(told, networks);
  if (space !== undefined && rows.length === 0) {
    throw new CannotLookError(`nobody holds a block of space "${space}"`);
  }
  const isStale = rows.some(({ blocks }) => blocks.some((one) => one.stale !== undefined));
  if (isStale || told.status.trouble.length > 0 || !told.status.etcd.reachable) call.ends(1);
  return call.options('json') === undefined ? spacesText(told, rows) : json(spacesJson(told, rows));
}

export function fenceNode(call: VerbCall, node: string | undefined): string {
  if (node === undefined || node === '') throw new UsageError('ipam fence takes the name of a node');
  const networks = networksHere(call);
  const socket = socketOf(call, networks);
  const told = toldBy(socket, undefined);
  const how = { off: call.options('off') !== undefined, yes: call.options('yes') !== undefined };
  const report = fence(socket, node, how, told, spaceRows(told, networks));
  fenceEnds(report, call);
  if (call.options('json') !== undefined) return json(report);
  if (report.done || report.refused === undefined || !how.yes) return fenceText(report);
  call.note(`${node} was not fenced: ${report.refused}`);
  return '';
}

export function importPools(call: VerbCall): string {
  const file = call.options('whereabouts')?.at(-1);
  if (file === undefined) {
    throw new UsageError(
      'ipam import takes --whereabouts FILE, which "kubectl get ippools.whereabouts.cni.cncf.io -A -o json" writes',
    );
  }
  let read: ReturnType<typeof readExport>;
  try {
    read = readExport(readText(file));
  } catch (error) {
    throw new CannotLookError(`${file}: ${errorText(error)}`);
  }
  if (read.pools === 0) throw new CannotLookError(`${file} has no IPPool of whereabouts`);
  const named = call.options('socket')?.at(-1);
  const pools = poolsIn(networksHere(call)).map((one) =>
    named === undefined ? one : { ...one, socket: named },
  );
  const byName = new Map(pools.map((one) => [one.network, one]));
  const { attached } = new Sight(call);
  const sorted = sortAllocations(read.allocations, attached, byName);
  const done = call.options('yes') !== undefined;
  const report = { read, done, ...sorted, ...takeOver(sorted.mine, done) };
  const isLeft = report.left.some(({ isGone }) => !isGone);
  if (isLeft || report.refused.length > 0 || read.damaged.length > 0 || (!done && report.taken.length > 0)) {
    call.ends(1);
  }
  return call.options('json') === undefined ? importText(report) : json(importJson(report));
}

function networksHere(call: VerbCall): readonly NetworkView[] {
  return survey(call).networks;
}

export function poolsIn(networks: readonly Pick<NetworkView, 'network'>[]): PoolStore[] {
  return networks.flatMap(({ network }) => network.stores.flatMap(({ pool }) => pool ?? []));
}

/** As it is said, else as the first network says that has addresses of the cluster. */
function socketOf(call: VerbCall, networks: readonly NetworkView[]): string {
  return call.options('socket')?.at(-1) ?? poolsIn(networks)[0]?.socket ?? defaultAgentSocket;
}

function toldBy(socket: string, space: string | undefined): Told {
  const status = askAgent<AgentStatus>(socket, { ask: 'status' });
  if (isRefusal(status)) throw new CannotLookError(refusalText(status));
  const answer = askAgent<SpacesAnswer>(socket, { ask: 'spaces', ...(space !== undefined && { space }) });
  if (isRefusal(answer)) throw new CannotLookError(refusalText(answer));
  return { spaces: answer.spaces, nodes: answer.nodes, status };
}
