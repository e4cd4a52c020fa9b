/** What cnitool takes from its arguments and environment. An empty variable counts as absent, always. */
import { delimiter, isAbsolute, resolve } from 'node:path';
import { realPath } from '@cni-ts/libc/file';
import type { Argument, RuntimeConf } from '@cni-ts/libcni/attachment';
import type { Environment } from '@cni-ts/libcni/environment';
import { parseJson } from '@cni-ts/libcni/json';
import { hashedName } from '@cni-ts/plugin-kit/name-hash';

export const configDir = (env: Environment): string => env.NETCONFPATH || '/etc/cni/net.d';

export const pluginPath = (env: Environment): string[] => (env.CNI_PATH ? env.CNI_PATH.split(delimiter) : []);

/** The attachment the tool works on. There is no container: the namespace's path stands for one. */
export function attachmentOf(netns: string, ifname: string | undefined, env: Environment): RuntimeConf {
  const capabilityArgs = readCapabilityArgs(env.CAP_ARGS);
  const args = readArgs(env.CNI_ARGS);
  // The compiled program has no process.cwd(), which `resolve` asks when no path is absolute.
  const path = resolve(isAbsolute(netns) ? '/' : realPath('.'), netns);
  return {
    containerId: containerIdOf(path),
    netns: path,
    ifname: ifname || env.CNI_IFNAME || 'eth0',
    args,
    capabilityArgs,
  };
}

/** The same for every call on one path, so that DEL finds what ADD made. */
export function containerIdOf(netns: string): string {
  return hashedName(28, 'cnitool-', netns);
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
    throw new Error(`CAP_ARGS is no JSON: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new Error(`CAP_ARGS must be a JSON object such as {"mac": "…"}, got ${text}`);
  }
  return { ...json };
}
