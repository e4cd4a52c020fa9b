/** `cnitool plan`: what ADD would make for a whole chain. Nothing is touched. */
import { Netns } from '@cni-ts/libc/netns';
import type { RuntimeConf } from '@cni-ts/libcni/attachment';
import { errorText } from '@cni-ts/spec/cni-error';
import type { FindingCode } from '@cni-ts/spec/finding-codes';
import { many } from './many.ts';
import { netnsPath } from './netns-argument.ts';
import { networkNamed } from './network-named.ts';
import { type ChainPlan, type PlannedPlugin, planChain } from './plan/chain.ts';
import { leaveForEmptyNode } from './plan/empty-node.ts';
import { attachmentOf } from './settings.ts';
import { CannotLookError, type Verb, type VerbCall } from './verb.ts';

const notToBeKnown: FindingCode = 'CNI3047';

/** Names follow from the container; one that is nowhere has one too. */
const nobody = '/no-container-in-particular';

export const planCommand: Verb = {
  about: 'Tell what add would make, for the whole chain and its IPAM plugin; nothing is touched',
  examples: [
    { call: 'cnitool plan web', about: 'for a container that does not exist yet' },
    { call: 'cnitool plan web /run/netns/test', about: 'for this one' },
    { call: 'cnitool plan web --empty', about: 'as on a node that has nothing yet' },
  ],
  needs: ['network', 'netns'],
  least: 1,
  callsKin: true,
  options: [
    { name: 'empty', about: 'as on a node that has nothing yet: no link, no rule, no reservation' },
    { name: 'json', about: 'print it as JSON (dist/schemas/cnitool-plan.json)' },
  ],
  async run(call) {
    const list = networkNamed(call.args[0] ?? '', call);
    const conf = attachmentFor(list.name, call);
    if (call.options('empty') !== undefined) leaveForEmptyNode(list);
    const planned = await onStage(conf, (where) => planChain(list, where, call));
    const isWhole = planned.plugins.every(({ state }) => state === 'planned');
    if (planned.plugins.some(({ state }) => state === 'fails')) call.ends(1);
    if (call.options('json') === undefined) return planText(planned);
    const { containerId, ifname, netns = '' } = conf;
    const report = {
      network: list.name,
      containerId,
      ifname,
      netns,
      changes: countOf(planned),
      isWhole,
      ...planned,
    };
    return `${JSON.stringify(report, undefined, 2)}\n`;
  },
};

function attachmentFor(network: string, { args, options, env, runtime }: VerbCall): RuntimeConf {
  const [, word] = args;
  const ifname = options('ifname')?.at(-1);
  const netns = word === undefined ? nobody : netnsPath(word);
  const conf = attachmentOf(network, netns, ifname, env, runtime, true);
  return word === undefined ? { ...conf, netns: '' } : conf;
}

/** For no container in particular there is a namespace meanwhile that is as new as a container's. */
async function onStage(
  conf: RuntimeConf,
  work: (conf: RuntimeConf) => Promise<ChainPlan>,
): Promise<ChainPlan> {
  if (conf.netns) return work(conf);
  const stage = newNamespace();
  try {
    const netns = `/proc/${process.pid}/fd/${stage.fd}`;
    const planned = JSON.stringify(await work({ ...conf, netns }));
    return JSON.parse(planned.replaceAll(JSON.stringify(netns), JSON.stringify(nobody)));
  } finally {
    stage.close();
  }
}

function newNamespace(): Netns {
  try {
    return Netns.create();
  } catch (error) {
    throw new CannotLookError(
      `a plan needs a network namespace to try in, run it as root: ${errorText(error)}`,
    );
  }
}

function countOf({ plugins }: ChainPlan): number {
  return plugins.reduce((sum, { changes }) => sum + changes.length, 0);
}

function planText(planned: ChainPlan): string {
  const { plugins } = planned;
  const fails = plugins.some(({ state }) => state === 'fails');
  const open = plugins.filter(({ state }) => state === 'foreign' || state === 'unknown').length;
  const known = open === 0 ? '' : `, and what ${many(open, 'plugin')} would do besides`;
  const last = fails
    ? 'ADD would fail and take back what it had made; nothing was touched'
    : `${many(countOf(planned), 'change')}${known}, nothing was touched`;
  return `${plugins.map(pluginText).join('')}${last}\n`;
}

function pluginText({ type, state, changes, code, message, notes = [] }: PlannedPlugin): string {
  const told = changes.map(({ sign, text }) => `${sign} ${text}\n`).join('');
  const lines = told + notes.map((text) => `? ${notToBeKnown} ${type}: ${text}\n`).join('');
  if (message === undefined) return lines;
  return `${lines}${state === 'fails' ? '✗' : '?'} ${code} ${type}: ${message}\n`;
}
