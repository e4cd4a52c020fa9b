/** What cnitool takes from its arguments and environment. An empty variable counts as absent, always. */
import { delimiter, isAbsolute, resolve } from 'node:path';
import { realPath } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { hashedName } from '@cni-ts/libc/name-hash';
import { namespaceLives } from '@cni-ts/libc/netns';
import type { Argument, RuntimeConf } from '@cni-ts/libcni/attachment';
import type { CachedArguments } from '@cni-ts/libcni/cache';
import type { Environment } from '@cni-ts/libcni/environment';
import { parseJson } from '@cni-ts/libcni/json';
import { messageOf } from '@cni-ts/spec/cni-error';
import { netnsPath } from './netns-argument.ts';

export const configDir = (env: Environment): string => env.NETCONFPATH || '/etc/cni/net.d';

/** Without CNI_PATH: beside the tool, as it is installed, then where runtimes look. `own` tells the tool's folder. */
export function pluginPath(env: Environment, own?: () => string | undefined): string[] {
  if (env.CNI_PATH) return env.CNI_PATH.split(delimiter);
  const folder = own?.();
  return folder === undefined || folder === pluginFolder ? [pluginFolder] : [folder, pluginFolder];
}

export const pluginFolder = '/opt/cni/bin';

/** What is remembered of attachments; a part of libcni's Operations. */
export interface Memory {
  getCachedArguments(network: string, conf: RuntimeConf): CachedArguments | undefined;
  getCachedContainerIds(network: string, ifname: string, beginning: string): string[];
}

/**
 * The attachment the tool works on. There is no container: the namespace's path stands for one, whichever way it is
 * spelled. `isNew`: it is about to be made; else what it was made with counts where nothing is said now.
 */
export function attachmentOf(
  network: string,
  netns: string,
  option: string | undefined,
  env: Environment,
  memory: Memory,
  isNew: boolean,
): RuntimeConf {
  const capabilityArgs = readCapabilityArgs(env.CAP_ARGS);
  const args = readArgs(env.CNI_ARGS);
  // The compiled program has no process.cwd(), which `resolve` asks when no path is absolute.
  const absolute = (path: string) => resolve(isAbsolute(path) ? '/' : realPath('.'), path);
  const ifname = option || env.CNI_IFNAME || 'eth0';
  const at = (path: string) => ({ containerId: containerIdOf(path), netns: path, ifname });
  const [given, asPath] = [at(absolute(netnsPath(netns))), at(absolute(netns))];
  // What was added by a path of the current folder is found by it, also when that is gone.
  const places = asPath.netns === given.netns ? [given] : [asPath, given];
  let known: ReturnType<typeof remembered>;
  for (const place of places) known ??= remembered(network, place, memory, !isNew);
  if (isNew || known === undefined) return { ...(known?.conf ?? given), args, capabilityArgs };
  return {
    ...known.conf,
    args: env.CNI_ARGS ? args : known.cached.args,
    capabilityArgs: env.CAP_ARGS ? capabilityArgs : known.cached.capabilityArgs,
  };
}

/** The same for every call on one path, so that DEL finds what ADD made. */
export function containerIdOf(netns: string): string {
  return hashedName(28, idPrefix, netns);
}
const idPrefix = 'cnitool-';

interface Place extends RuntimeConf {
  readonly netns: string;
}

/**
 * What is remembered under this path, or under another that leads to the same namespace: the reference tool names the
 * container after the path as it was given, so /run/netns/x and /var/run/netns/x are two to it, and what was added by one
 * is not found by the other. Other spellings than the usual ones are looked for only where `everywhere`.
 */
function remembered(
  network: string,
  given: Place,
  memory: Memory,
  everywhere: boolean,
): { conf: RuntimeConf; cached: CachedArguments } | undefined {
  const by = (containerId: string) => {
    const cached = memory.getCachedArguments(network, { ...given, containerId });
    // The path it was made by: plugins compare it with what is in the result.
    return cached && { conf: { ...given, containerId, netns: cached.netns || given.netns }, cached };
  };
  for (const path of spellings(given.netns)) {
    const found = by(containerIdOf(path));
    if (found) return found;
  }
  if (!everywhere) return undefined;
  for (const containerId of memory.getCachedContainerIds(network, given.ifname, idPrefix)) {
    const found = by(containerId);
    if (found && isSameNamespace(found.conf.netns, given.netns)) return found;
  }
  return undefined;
}

/** As it was given, without links, and by way of /var/run, which is a link to /run nearly everywhere. */
function spellings(path: string): string[] {
  const real = withoutLinks(path);
  const usual = real.startsWith('/run/') ? [`/var${real}`] : [];
  return [...new Set([path, real, ...usual])];
}

/** Of the folder, since the file may be gone. */
function withoutLinks(path: string): string {
  const at = path.lastIndexOf('/');
  try {
    return `${realPath(path.slice(0, at) || '/').replace(/\/$/, '')}${path.slice(at)}`;
  } catch {
    return path.replace(/^\/var\/run\//, '/run/'); // the folder is gone too: nothing better is known
  }
}

/** Whether two paths lead to one namespace, whichever way they are spelled. */
export function isSameNamespace(one: string, other: string): boolean {
  if (withoutLinks(one) === withoutLinks(other)) return true;
  const [a, b] = [tryStat(one), tryStat(other)];
  return a !== undefined && a.dev === b?.dev && a.ino === b.ino && namespaceLives(one);
}

function readArgs(text: string | undefined): Argument[] {
  if (!text) return [];
  return text.split(';').map((pair) => {
    const [key, value, ...more] = pair.split('=');
    if (!key || !value || more.length > 0) throw new Error(`invalid CNI_ARGS pair ${JSON.stringify(pair)}`);
    return [key, value];
  });
}

function readCapabilityArgs(text: string | undefined): Record<string, unknown> {
  if (!text) return {};
  let json: unknown;
  try {
    json = parseJson(text) ?? {};
  } catch (error) {
    throw new Error(`CAP_ARGS is no JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new Error(`CAP_ARGS must be a JSON object such as {"mac": "…"}, got ${text}`);
  }
  return { ...json };
}
