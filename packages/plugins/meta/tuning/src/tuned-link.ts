/** The attributes of the container's link: as they shall be, and as DEL puts them back. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { type Netns, NetnsError } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import type { Lasting, Resource } from '@cni-ts/resource/resource';
import { findLink, findLinkByIndex, getLink, type Link } from '@cni-ts/rtnetlink/link';
import { configText } from '@cni-ts/skeleton/config-text';
import { findContainerNetns } from '@cni-ts/skeleton/own-netns';
import type { Request } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { type Config, dataDirOf } from './config.ts';
import {
  type LinkValue,
  linkDifferences,
  linkValues,
  refuseImpossible,
  type SomeValues,
  setValue,
  valuesOf,
  wantedLink,
} from './link-values.ts';
import {
  forgetStale,
  forgetValues,
  identityOf,
  isSameLink,
  type Saved,
  savedValues,
  saveValues,
} from './saved-values.ts';
import { asChange } from './setting.ts';

/** A socket to the links of the container, for as long as the call is. */
function linksOf({ onEnd }: Request<unknown>, container: Netns): Netlink {
  const links = Netlink.open('route', container);
  onEnd(() => links.close());
  return links;
}

/** Promiscuous mode is switched on or left alone. */
export function toSet(wanted: SomeValues): LinkValue[] {
  return linkValues.filter((name) => wanted[name] !== undefined && (name !== 'promisc' || wanted.promisc));
}

/** `place` is the link of the plugin before, `values` what it shall be like. */
export function tunedLink(
  request: Request<unknown>,
  container: Netns,
  wanted: SomeValues,
  dataDir: string,
): { readonly place: Resource; readonly values: Resource } {
  const { ifname, undo } = request;
  const names = toSet(wanted);
  let socket: Netlink | undefined;
  const links = () => {
    socket ??= linksOf(request, container);
    return socket;
  };
  let link: Link | undefined;
  const place: Resource = {
    implied: true,
    describe: () => `link ${ifname}`,
    ensure() {
      if (names.length === 0) return;
      link = getLink(links(), ifname);
      refuseImpossible(link, wanted);
    },
    differences: () => [],
  };
  const values: Resource = {
    isThere: () => findLink(links(), ifname) !== undefined,
    /** Throws for what the link cannot have. In a chain's dry run there is none yet. */
    describe() {
      const there = findLink(links(), ifname);
      if (!there) return names.map((name) => `${name} ${wanted[name]} of ${ifname}`).join('\n');
      refuseImpossible(there, wanted);
      return linkDifferences(there, wanted).map(asChange).join('\n');
    },
    ensure() {
      if (!link) return;
      const on = link;
      const before = valuesOf(on);
      saveValues(dataDir, request, {
        values: originalOf(request, dataDir, on, container, wanted),
        link: identityOf(on, container, wanted.mac),
      });
      for (const name of names) {
        if (wanted[name] === before[name]) continue;
        undo.make(
          `${name} of ${ifname}`,
          () => setValue(links(), on, name, wanted[name]!),
          // A link that is gone needs nothing any more.
          () => findLinkByIndex(links(), on.index) && setValue(links(), on, name, before[name]),
        );
      }
    },
    differences() {
      const there = findLink(links(), ifname);
      const drift = there ? linkDifferences(there, wanted) : [`Cannot find container link ${ifname}`];
      return drift.map((text) => ({ text }));
    },
    /** What the link was like before ADD is remembered already. */
    mend() {
      const there = getLink(links(), ifname);
      for (const name of names) setValue(links(), there, name, wanted[name]!);
      return true;
    },
  };
  return { place, values };
}

/** As the link was before: what is tuned already was so by an earlier ADD, whose file knows what it was like before that
 *  one. One that cannot be read is replaced. */
function originalOf(
  request: Request<unknown>,
  dataDir: string,
  link: Link,
  container: Netns,
  wanted: SomeValues,
): SomeValues {
  const before = valuesOf(link);
  let earlier: SomeValues = {};
  try {
    const saved = savedValues(dataDir, request);
    if (saved && (!saved.link || isSameLink(saved.link, link, container))) earlier = saved.values;
  } catch (error) {
    request.log(`tuning: values saved by an earlier ADD are lost: ${errorText(error)}`);
  }
  const values = toSet(wanted).map((name) => [
    name,
    before[name] === wanted[name] ? (earlier[name] ?? before[name]) : before[name],
  ]);
  return Object.fromEntries(values);
}

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
