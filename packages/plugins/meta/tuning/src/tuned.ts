import type { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { findLink, findLinkByIndex, getLink, type Link } from '@cni-ts/rtnetlink/link';
import type { Request } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import {
  linkDifferences,
  linkValues,
  refuseImpossible,
  type SomeValues,
  setValue,
  toSet,
  valuesOf,
} from './link-values.ts';
import { identityOf, isSameLink, savedValues, saveValues } from './saved-values.ts';
import { type Setting, settingDifferences, writeSettings } from './setting.ts';

/** What the container's namespace and its link shall be like. */
export interface Want {
  readonly container: Netns;
  readonly settings: readonly Setting[];
  readonly link: SomeValues;
  /** Where it is kept what the link was like before. */
  readonly dataDir: string;
}

/** Settings of the container, and attributes of its link. */
export class Tuned implements Resource {
  readonly #want: Want;

  constructor(want: Want) {
    this.#want = want;
  }

  isThere(): true {
    return true;
  }

  /** Which would change, from what to what. Throws for what the link cannot have. */
  describe({ request }: Site): string {
    const { container, settings, link } = this.#want;
    const there = findLink(linksOf(request, container), request.ifname);
    const lines = settingDifferences(settings, container, there ? undefined : request.ifname);
    const names = toSet(link);
    if (names.length > 0 && there) {
      refuseImpossible(there, link);
      lines.push(...linkDifferences(there, { ...link, promisc: link.promisc || undefined }));
    } else {
      // In a chain's dry run it is not there yet.
      lines.push(...names.map((name) => `${name} of ${request.ifname}: ${link[name]}`));
    }
    return lines.map((text) => text.replace(/^Error: Tuning (?:link )?/, '')).join('\n');
  }

  ensure({ request }: Site): void {
    const { container, settings, link: wanted } = this.#want;
    const names = toSet(wanted);
    const links = names.length > 0 ? linksOf(request, container) : undefined;
    const link = links && getLink(links, request.ifname);
    if (link) refuseImpossible(link, wanted);
    writeSettings(settings, container, request.undo);
    if (!links || !link) return;
    const before = valuesOf(link);
    const earlier = this.#earlier(request, link);
    // What is tuned already was so by an earlier ADD, whose file knows what the link was like before that one.
    const values = names.map((name) => [
      name,
      before[name] === wanted[name] ? (earlier[name] ?? before[name]) : before[name],
    ]);
    const saved = {
      values: Object.fromEntries(values),
      link: identityOf(link, container, wanted.mac),
    };
    saveValues(this.#want.dataDir, request, saved);
    for (const name of names) {
      const value = wanted[name];
      if (value === undefined || value === before[name]) continue;
      request.undo.make(
        `${name} of ${link.name}`,
        () => setValue(links, link, name, value),
        // A link that is gone needs nothing any more.
        () => findLinkByIndex(links, link.index) && setValue(links, link, name, before[name]),
      );
    }
  }

  /** Of an ADD for this link that no DEL came after. One that cannot be read is replaced. */
  #earlier(request: Request<unknown>, link: Link): SomeValues {
    try {
      const saved = savedValues(this.#want.dataDir, request);
      return saved && (!saved.link || isSameLink(saved.link, link, this.#want.container)) ? saved.values : {};
    } catch (error) {
      request.log(`tuning: values saved by an earlier ADD are lost: ${errorText(error)}`);
      return {};
    }
  }

  differences({ request }: Site): Drift[] {
    const { container, settings, link } = this.#want;
    const drift = settingDifferences(settings, container);
    if (linkValues.some((name) => link[name] !== undefined)) {
      const there = findLink(linksOf(request, container), request.ifname);
      if (there) drift.push(...linkDifferences(there, link));
      else drift.push(`Cannot find container link ${request.ifname}`);
    }
    return drift.map((text) => ({ text }));
  }

  /** What the link was like before ADD is remembered already: its values are set, and nothing is saved. */
  mend({ request }: Site): true {
    const { container, settings, link } = this.#want;
    writeSettings(settings, container, request.undo);
    const names = toSet(link);
    if (names.length === 0) return true;
    const links = linksOf(request, container);
    const there = getLink(links, request.ifname);
    for (const name of names) if (link[name] !== undefined) setValue(links, there, name, link[name]);
    return true;
  }
}

/** A socket to the links of the container, for as long as the call is. */
export function linksOf(request: Request<unknown>, container: Netns): Netlink {
  const links = Netlink.open('route', container);
  request.onEnd(() => links.close());
  return links;
}
