/** Who is traced: a container that the cache knows, or a namespace that it does not. */
import { parseCidr } from '@cni-ts/address/cidr';
import { equalIp, type Ip } from '@cni-ts/address/ip';
import { namespaceLives } from '@cni-ts/libc/netns';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { cachedResult } from '../cached-result.ts';
import { netnsPath } from '../netns-argument.ts';
import { rememberedAttachments } from '../remembered-attachments.ts';
import { CannotLookError, type VerbCall } from '../verb.ts';

export interface Subject {
  /** As a person names it: its ID, else the namespace's path. */
  readonly name: string;
  readonly netns: string;
  readonly ifname: string;
  /** Undefined where no attachment of it is remembered. */
  readonly attachment: CachedAttachment | undefined;
  /** Whether its network says that its packets leave with the host's address; undefined where that is not known. */
  readonly isMasqueraded: boolean | undefined;
}

type Known = Pick<VerbCall, 'runtime'>;

/** `word`: a container's ID or how it begins, else a namespace. Throws CannotLookError where nobody is meant. */
export function subjectOf(word: string, ifname: string | undefined, call: Known): Subject {
  const all = rememberedAttachments(call.runtime);
  const own = (one: CachedAttachment) => ifname === undefined || one.ifname === ifname;
  let found = all.filter((one) => one.containerId === word && own(one));
  if (found.length === 0 && word !== '') {
    found = all.filter((one) => one.containerId.startsWith(word) && own(one));
  }
  const names = [...new Set(found.map(({ containerId }) => containerId))];
  if (names.length > 1) {
    throw new CannotLookError(`${word} may be ${names.slice(0, 5).join(' or ')}: write more of it`);
  }
  const [first] = found;
  if (first) {
    const { containerId, netns = '' } = first;
    if (netns === '') throw new CannotLookError(`it is not remembered in which namespace ${containerId} is`);
    return subject(containerId, netns, first.ifname, first);
  }
  if (word === '') throw new CannotLookError('an empty word is no container, and no network namespace');
  const path = netnsPath(word);
  if (!namespaceLives(path)) {
    throw new CannotLookError(
      `${word} is no container that was attached here, and ${path} is no network namespace`,
    );
  }
  const attachment = all.find((one) => one.netns === path && own(one));
  return subject(attachment?.containerId ?? word, path, attachment?.ifname ?? ifname ?? 'eth0', attachment);
}

function subject(name: string, netns: string, ifname: string, attachment?: CachedAttachment): Subject {
  return { name, netns, ifname, attachment, isMasqueraded: attachment && masquerades(attachment) };
}

/** By the configuration it was attached with, whoever's plugins did that. */
function masquerades({ config }: CachedAttachment): boolean | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(config));
    const plugins = member(json, 'plugins');
    return (Array.isArray(plugins) ? plugins : [json]).some((one) => member(one, 'ipMasq') === true);
  } catch {
    return undefined; // the entry is damaged: then it is not known
  }
}

function member(json: unknown, key: string): unknown {
  // reason: the members of what JSON.parse makes are looked at one by one
  return typeof json === 'object' && json !== null ? (json as Record<string, unknown>)[key] : undefined;
}

export interface Holder {
  readonly name: string;
  readonly netns: string;
  readonly lives: boolean;
}

/** The containers that were given this address, as far as is remembered. */
export function holdersOf(address: Ip, { runtime }: Known): Holder[] {
  return rememberedAttachments(runtime)
    .filter((one) => addressesOf(one, runtime).some((own) => equalIp(own, address)))
    .map(({ containerId, netns = '' }) => ({
      name: containerId,
      netns,
      lives: netns !== '' && namespaceLives(netns),
    }));
}

function addressesOf(one: CachedAttachment, runtime: VerbCall['runtime']): Ip[] {
  try {
    const { ips = [] } = cachedResult(one, runtime);
    return ips.flatMap(({ address }) => parseCidr(address)?.ip ?? []);
  } catch {
    return []; // damaged: it holds nothing that is known
  }
}
