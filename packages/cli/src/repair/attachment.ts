/** One attachment is held against what is there, and made so again. */
import { namespaceLives } from '@cni-ts/libc/netns';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import type { PluginConfig } from '@cni-ts/libcni/plugin-config';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import type { VersionedResult } from '@cni-ts/spec/result-version';
import { compareVersions } from '@cni-ts/spec/spec-version';
import { networkNamed } from '../network-named.ts';
import { rememberedList } from '../remembered-list.ts';
import type { VerbCall } from '../verb.ts';
import type { Outcome, PluginOutcome } from './outcome.ts';

type Asking = Pick<VerbCall, 'runtime' | 'isOurs' | 'env' | 'note'>;

/**
 * Asks every plugin of the chain that is ours, first to last, by REPAIR; `looks`: by CHECK, which changes nothing and finds
 * what REPAIR would make again. One that fails keeps none of the others from its part.
 */
export async function attend(one: CachedAttachment, looks: boolean, call: Asking): Promise<Outcome> {
  const { network, containerId, ifname, netns = '' } = one;
  const about = { network, containerId, ifname, netns };
  if (netns === '') return unknown(about, 'it is not remembered where its namespace is');
  if (!namespaceLives(netns)) {
    return {
      ...about,
      state: 'gone',
      plugins: [],
      code: 'CNI3044',
      message: `its namespace ${netns} is gone`,
      cure: `cnitool gc ${network} --stale`,
    };
  }
  let list: NetworkList;
  let result: VersionedResult | undefined;
  try {
    list = rememberedList(one);
    // Plugins in the folder beside the file are not remembered with it.
    if (list.plugins.length === 0) list = networkNamed(network, call);
    result = call.runtime.getNetworkListCachedResult(list, one);
  } catch (error) {
    return unknown(about, textOf(error));
  }
  if (result === undefined) return unknown(about, 'what its ADD has answered is not remembered');
  const plugins: PluginOutcome[] = [];
  for (const plugin of list.plugins) plugins.push(await ask(list, plugin, one, result, looks, call));
  return { ...about, ...judged(plugins), plugins };
}

function unknown(
  about: Pick<Outcome, 'network' | 'containerId' | 'ifname' | 'netns'>,
  message: string,
): Outcome {
  return {
    ...about,
    state: 'unknown',
    plugins: [],
    code: 'CNI3043',
    message,
    cure: 'remove the container and make it anew',
  };
}

async function ask(
  list: NetworkList,
  plugin: PluginConfig,
  one: CachedAttachment,
  result: VersionedResult,
  looks: boolean,
  { runtime, isOurs }: Asking,
): Promise<PluginOutcome> {
  const { type } = plugin;
  const program = runtime.programOf(type);
  if (program === undefined) {
    return { type, state: 'failed', texts: [`it is in none of ${runtime.path.join(', ')}`] };
  }
  if (!isOurs(program)) {
    return { type, state: 'foreign', texts: [`${program} is not ours: it can neither tell nor repair`] };
  }
  try {
    if (looks) return await look(list, plugin, one, result, runtime);
    // What they print is theirs and ours: dispatch.ts of @cni-ts/skeleton.
    const { repaired } = JSON.parse(await runtime.askPlugin('REPAIR', list, plugin, one, result));
    return { type, state: repaired.length === 0 ? 'fine' : 'repaired', texts: repaired };
  } catch (error) {
    return { type, state: 'failed', texts: [textOf(error)] };
  }
}

async function look(
  list: NetworkList,
  plugin: PluginConfig,
  one: CachedAttachment,
  result: VersionedResult,
  runtime: VerbCall['runtime'],
): Promise<PluginOutcome> {
  const { type } = plugin;
  const version = list.cniVersion || '0.1.0';
  if (compareVersions(version, '0.3.0') < 0) {
    return {
      type,
      state: 'unseen',
      texts: [`version ${version} has no CHECK, so only repair itself can tell`],
    };
  }
  // CHECK came with 0.4.0, whose results are those of 0.3.
  const network = compareVersions(version, '0.4.0') < 0 ? { ...list, cniVersion: '0.4.0' } : list;
  const known = network === list ? result : { ...result, cniVersion: '0.4.0' };
  try {
    await runtime.askPlugin('CHECK', network, plugin, one, known as VersionedResult); // reason: the same shape
    return { type, state: 'fine', texts: [] };
  } catch (error) {
    return { type, state: 'differs', texts: [textOf(error)] };
  }
}

function judged(plugins: readonly PluginOutcome[]): Pick<Outcome, 'state' | 'code' | 'message' | 'cure'> {
  const has = (state: PluginOutcome['state']) => plugins.some((one) => one.state === state);
  if (has('failed')) {
    const cure = 'remove the container and make it anew, if what is told cannot be put right';
    return { state: 'failed', code: 'CNI3041', message: 'could not be repaired', cure };
  }
  if (has('differs')) {
    return { state: 'differs', code: 'CNI3040', message: 'is not as it was made', cure: 'cnitool repair' };
  }
  return { state: has('repaired') ? 'repaired' : 'fine' };
}
