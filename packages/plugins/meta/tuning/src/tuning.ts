/** tuning: changes settings of the container's network namespace and attributes of a link that an earlier plugin of
 *  the chain made there.
 *
 *  The attributes (MAC, MTU, …) are put back by DEL, because the link may outlive the container: a device of the
 *  host goes back to the host. The settings are not: they live in the namespace and end with it. */
import { nearestExisting, requireAccess } from '@cni-ts/libc/file-status';
import type { Netns } from '@cni-ts/libc/netns';
import { chainedPlugin } from '@cni-ts/resource/chained-plugin';
import type { Site } from '@cni-ts/resource/site';
import { openContainerNetns } from '@cni-ts/skeleton/own-netns';
import type { Plugin, Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { repeatedKey } from '@cni-ts/spec/repeated-key';
import type { Result } from '@cni-ts/spec/result';
import { checkAllowed } from './allowlist.ts';
import { type Config, parse, schema } from './config.ts';
import { formerLink } from './former-link.ts';
import { type SomeValues, toSet, wantedLink } from './link-values.ts';
import { type Setting, settingsOf } from './setting.ts';
import { Tuned } from './tuned.ts';

/** What the namespace and the link shall be like. */
interface Wanted {
  readonly settings: readonly Setting[];
  readonly link: SomeValues;
}

function wantedOf(config: Config, { stdin }: Request<unknown>, ifname: string): Wanted {
  const repeated = repeatedKey(stdin, 'sysctl');
  if (repeated !== undefined) {
    throw new CniError(
      ErrorCode.internal,
      'duplicated sysctl keys are not allowed',
      `${JSON.stringify(repeated)} stands there twice`,
    );
  }
  return { settings: settingsOf(config.sysctl, config.argsSysctl, ifname), link: wantedLink(config) };
}

/** The link's new MAC, and its new MTU where the result says one. An interface of the same name that is not in the
 *  container is another one; results that give no sandboxes at all mean the container's. */
function completed(previous: Result, ifname: string, { mac, mtu }: SomeValues): Result {
  const { interfaces } = previous;
  if (interfaces === undefined) return previous;
  const named = interfaces.filter(({ name }) => name === ifname);
  const inside = named.filter(({ sandbox }) => sandbox);
  const own = inside.length > 0 ? inside : named;
  return {
    ...previous,
    interfaces: interfaces.map((one) => {
      if (!own.includes(one)) return one;
      return { ...one, ...(mac && { mac }), ...(mtu && one.mtu && { mtu }) };
    }),
  };
}

/** Changes nothing. The plugin's own namespace stands in for the container's, whose settings are the same files. */
function checkAccess(config: Config, { request }: Site): void {
  const { settings, link } = wantedOf(config, request, 'default');
  for (const { key, path } of settings)
    if (!key.includes('IFNAME')) requireAccess(`/proc/sys/${path}`, { write: true });
  if (settings.length > 0) requireAccess('/proc/sys/net/ipv4/ip_forward', { write: true });
  // ADD makes what is missing of the path.
  if (toSet(link).length > 0) requireAccess(nearestExisting(config.dataDir), { write: true, execute: true });
}

/** The container's; a dry run may be for none in particular. */
function namespaceOf(site: Site): Netns {
  const { request } = site;
  if (!request.netns) return site.container.netns;
  const container = openContainerNetns(request);
  request.onEnd(() => container.close());
  return container;
}

/** The plugin with its administrator's list in another file. */
export function tuningWith(allowlist: string): Plugin {
  return chainedPlugin({
    type: 'tuning',
    config: schema,
    parse,
    refuse(config) {
      settingsOf(config.sysctl, config.argsSysctl, 'eth0');
      wantedLink(config);
    },
    missing: 'Required prevResult missing',
    check({ sysctl, argsSysctl }) {
      checkAllowed(allowlist, [...new Set([...Object.keys(sysctl), ...Object.keys(argsSysctl)])]);
    },
    status: checkAccess,
    plan(config, site, previous) {
      const { request, ifname } = site;
      const { settings, link } = wantedOf(config, request, ifname);
      const container = namespaceOf(site);
      return {
        resources: [new Tuned({ container, settings, link, dataDir: config.dataDir })],
        result: () => completed(previous, ifname, link),
      };
    },
    lasting: () => [formerLink],
  });
}

export const tuning = tuningWith('/etc/cni/tuning/allowlist.conf');
