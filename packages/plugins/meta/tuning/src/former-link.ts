/** What a link was like before ADD: saved, and put back. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { NetnsError } from '@cni-ts/libc/netns';
import type { Lasting } from '@cni-ts/resource/resource';
import { findLink, type Link } from '@cni-ts/rtnetlink/link';
import { configText } from '@cni-ts/skeleton/config-text';
import { findContainerNetns } from '@cni-ts/skeleton/own-netns';
import type { Request } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { type Config, dataDirOf } from './config.ts';
import {
  type LinkValue,
  linkValues,
  type SomeValues,
  setValue,
  valuesOf,
  wantedLink,
} from './link-values.ts';
import { forgetStale, forgetValues, isSameLink, type Saved, savedValues } from './saved-values.ts';
import { linksOf } from './tuned.ts';

/**
 * The link as it was. What stands in the way of putting it back is logged and no failure: the container is going, and a
 * runtime that repeats DEL would not get further. Where there is nothing to put back any more, no file stays. Of the
 * configuration it needs the directory alone.
 */
export const formerLink: Lasting = {
  name: 'what the link was like',
  remove({ request }) {
    const { ifname } = request;
    const folder = folderOf(request);
    let saved: Saved | undefined;
    try {
      saved = savedValues(folder, request);
    } catch (error) {
      request.log(`tuning: saved values are lost, ${ifname} stays as it is: ${errorText(error)}`);
    }
    const failures = saved ? restore(request, saved) : [];
    if (failures.length === 0) forgetValues(folder, request);
    else request.log(`tuning: ${ifname} was not put back as it was: ${failures.join('; ')}`);
  },
  collect: ({ request }, valid) => forgetStale(folderOf(request), request.network, valid),
};

function folderOf({ json }: Request<unknown>): string {
  return dataDirOf(configText(json, 'dataDir'));
}

/** MTU first: some drivers refuse a MAC or a queue length while it is out of their usual range. All are tried. */
const restoreOrder: readonly LinkValue[] = ['mtu', 'mac', 'promisc', 'allmulti', 'txQLen'];

function restore(request: Request<unknown>, saved: Saved): string[] {
  const { netns, ifname } = request;
  const failures: string[] = [];
  try {
    const container = findContainerNetns(request);
    if (!container) return [];
    request.onEnd(() => container.close());
    const links = linksOf(request, container);
    const link = findLink(links, ifname);
    if (!link) return [];
    if (!(saved.link ? isSameLink(saved.link, link, container) : isTuned(request, link, saved.values))) {
      request.log(
        `tuning: ${ifname} in ${netns} is not the link that was tuned for this container, it stays as it is`,
      );
      return [];
    }
    for (const name of restoreOrder) {
      const value = saved.values[name];
      // An empty MAC and a zero MTU were never a link's own.
      if (value === undefined || value === '' || (name === 'mtu' && value === 0)) continue;
      try {
        if (valuesOf(link)[name] !== value) setValue(links, link, name, value);
      } catch (error) {
        failures.push(errorText(error));
      }
    }
  } catch (error) {
    if (!(error instanceof NetnsError)) failures.push(errorText(error));
  }
  return failures;
}

/**
 * Whether a link may be the one that the reference tuned, whose file does not tell: by its MAC in the result, else by
 * what the configuration made of it. Where neither says anything it is taken for that, as the reference does.
 */
function isTuned(request: Request<unknown>, link: Link, saved: SomeValues): boolean {
  try {
    const named = (request.prevResult?.interfaces ?? []).filter(({ name }) => name === request.ifname);
    const recorded = (named.find(({ sandbox }) => sandbox) ?? named[0])?.mac;
    const mac = recorded === undefined ? undefined : parseMac(recorded);
    if (mac) return formatMac(mac) === formatMac(link.mac);
    const wanted = wantedLink(request.config as Config); // reason: what this plugin's own parse made
    const has = valuesOf(link);
    return linkValues.every(
      (name) => saved[name] === undefined || wanted[name] === undefined || has[name] === wanted[name],
    );
  } catch (error) {
    request.log(
      `tuning: the configuration is not valid, ${link.name} is put back as it was saved: ${errorText(error)}`,
    );
    return true;
  }
}
