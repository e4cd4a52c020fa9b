/** What is remembered of attachments, with what is to be seen of them without looking into their namespaces. */
import { type Cidr, parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { tryStat } from '@cni-ts/libc/file-status';
import { namespaceLives } from '@cni-ts/libc/netns';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { parseJson } from '@cni-ts/libcni/json';
import type { Operations } from '@cni-ts/libcni/operations';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import { cachedResult } from '../cached-result.ts';
import { isSameNamespace } from '../settings.ts';
import type { Json } from '../validate/document.ts';

/** A port of the host that leads to the container, as the runtime asked for it. */
export interface PublishedPort {
  readonly protocol: string;
  readonly port: number;
  readonly containerPort: number;
  /** '' for every address of the host. */
  readonly hostIP: string;
}

export interface Attached {
  readonly cached: CachedAttachment;
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
  /** '' where it is not known. */
  readonly netns: string;
  readonly lives: boolean;
  /** The configuration it was added with: its plugins, in order. */
  readonly plugins: readonly Json[];
  readonly cniVersion: string;
  readonly result: Result;
  /** Why there is no result; undefined where there is one. */
  readonly unread: string | undefined;
  readonly addresses: readonly Cidr[];
  readonly ports: readonly PublishedPort[];
  /** `default/web-1`, where the runtime said of which pod it is; else ''. */
  readonly pod: string;
  /** When it was added, in milliseconds since 1970; undefined where that is not known. */
  readonly since: number | undefined;
}

/** All that the cache has. Entries that cannot be read are not among them. */
export function attachedHere(runtime: Operations, cacheDir: string): Attached[] {
  return runtime.getCachedAttachments().map((cached) => {
    const { network, containerId, ifname, netns = '', capabilityArgs = {} } = cached;
    const { plugins, cniVersion } = configurationOf(cached);
    const { result, unread } = resultOf(cached, runtime);
    const file = tryStat(`${cacheDir}/results/${network}-${containerId}-${ifname}`);
    return {
      cached,
      network,
      containerId,
      ifname,
      netns,
      lives: netns !== '' && namespaceLives(netns),
      plugins,
      cniVersion,
      result,
      unread,
      addresses: (result.ips ?? []).flatMap(({ address }) => parseCidr(address) ?? []),
      ports: portsIn(capabilityArgs, plugins),
      pod: podOf(cached),
      since: file && Number(file.mtimeNs / 1_000_000n),
    };
  });
}

/** Kubernetes' runtimes tell plugins by CNI_ARGS. */
function podOf({ args = [] }: CachedAttachment): string {
  const value = (name: string) => args.find(([key]) => key === name)?.[1] ?? '';
  const name = value('K8S_POD_NAME');
  return name === '' ? '' : `${value('K8S_POD_NAMESPACE') || 'default'}/${name}`;
}

/** A list, or a single configuration, which is a list of one. */
function configurationOf({ config }: CachedAttachment): { plugins: readonly Json[]; cniVersion: string } {
  try {
    const json = parseJson(new TextDecoder().decode(config));
    const plugins = memberOf(json, 'plugins');
    const listed = Array.isArray(plugins) ? plugins : [json];
    return { plugins: listed.filter(isObject), cniVersion: textMember(json, 'cniVersion') };
  } catch {
    return { plugins: [], cniVersion: '' }; // an entry without a configuration: the plugins are not known
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function resultOf(cached: CachedAttachment, runtime: Operations): { result: Result; unread?: string } {
  try {
    return { result: cachedResult(cached, runtime) };
  } catch (error) {
    return { result: {}, unread: errorText(error) };
  }
}

/** Whether a plugin is given portMappings; runtimes have them for every network of a container, and libcni drops them. */
export function takesPorts(plugin: Json): boolean {
  return memberOf(objectMember(plugin, 'capabilities'), 'portMappings') === true;
}

/** Only where a plugin takes them. */
function portsIn(
  capabilityArgs: Readonly<Record<string, unknown>>,
  plugins: readonly Json[],
): PublishedPort[] {
  const given = capabilityArgs.portMappings;
  if (!Array.isArray(given) || !plugins.some(takesPorts)) return [];
  return given.flatMap((one): PublishedPort[] => {
    const [port, containerPort] = [memberOf(one, 'hostPort'), memberOf(one, 'containerPort')];
    if (typeof port !== 'number' || typeof containerPort !== 'number') return [];
    const protocol = textMember(one, 'protocol').toLowerCase() || 'tcp';
    const ip = parseIp(textMember(one, 'hostIP'));
    const hostIP = ip?.bytes.some((byte) => byte !== 0) ? textMember(one, 'hostIP') : '';
    return [{ protocol, port, containerPort, hostIP }];
  });
}

/**
 * When a namespace was gone at the latest, in milliseconds since 1970: its file is removed with it, and that was not after
 * the folder was changed last. Undefined where nobody can tell.
 */
export function goneSince(netns: string): number | undefined {
  if (netns === '' || netns.startsWith('/proc/')) return undefined;
  // A file that is still there was a mount point: it is as old as the namespace was.
  if (tryStat(netns)) return undefined;
  const folder = tryStat(netns.slice(0, netns.lastIndexOf('/')) || '/');
  return folder && Number(folder.mtimeNs / 1_000_000n);
}

/** Those of the container whose ID or pod this is, or else of all whose ID begins so. */
export function attachedNamed(attached: readonly Attached[], word: string): readonly Attached[] {
  // Who is no pod has the empty name of one.
  if (word === '') return [];
  const exact = attached.filter(({ containerId, pod }) => containerId === word || pod === word);
  if (exact.length > 0) return exact;
  return attached.filter(({ containerId }) => containerId.startsWith(word));
}

/** Those in the namespace at this path, whichever way it is spelled, also in one that is gone. */
export function attachedIn(attached: readonly Attached[], path: string): readonly Attached[] {
  return attached.filter(({ netns }) => netns !== '' && isSameNamespace(netns, path));
}
