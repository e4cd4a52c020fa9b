import { formatMac } from '@cni-ts/address/mac';
import { tryStat } from '@cni-ts/libc/file-status';
import { errnoOf, unlessThere } from '@cni-ts/libc/syscall-error';
import { recordedLink, recordedMac, sameMac } from '@cni-ts/resource/container-link';
import { LinkUp } from '@cni-ts/resource/link-up';
import type { Namespace } from '@cni-ts/resource/namespace';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { type Address, addAddress, addressFlags, listAddresses } from '@cni-ts/rtnetlink/address';
import { changeLink } from '@cni-ts/rtnetlink/change-link';
import { findLink, findLinkByIndex, getLink, type Link, setMac, setUp } from '@cni-ts/rtnetlink/link';
import { routeScopes } from '@cni-ts/rtnetlink/route';
import { messageOf } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import type { Config } from './config.ts';
import { type DeviceRecord, DeviceRecords, isOf, namespaceText } from './device-record.ts';
import { findDevice, type Home, isDevice, isLinkName } from './find-device.ts';
import { renameHome, takeHome } from './homecoming.ts';

/** A device of the host, moved into the container under the interface's name. */
export class MovedDevice implements Resource {
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
  }

  #records(site: Site): DeviceRecords {
    const log = (line: string) => site.request.log(line);
    return new DeviceRecords(this.#config.dataDir, site.host.netns.id, log);
  }

  describe(site: Site): string {
    const { link } = findDevice(this.#config, site, this.#records(site));
    return `link ${site.ifname}, the host's device ${link.name}`;
  }

  ensure(site: Site): void {
    const records = this.#records(site);
    // The container's namespace is opened first: without it nothing is looked at.
    const { container } = site;
    records.makeFolder();
    records.locked(() => {
      const { link, home } = findDevice(this.#config, site, records);
      refuseUnfit(site, link);
      const addresses = listAddresses(site.host.route, link);
      const record = recordOf(site, home);
      site.request.undo.add(`the move of "${link.name}"`, () =>
        records.locked(() => {
          moveBack(site, container, link, record);
          restoreAddresses(site, home.name, addresses);
          records.remove(record);
        }),
      );
      records.write(record);
      try {
        changeLink(site.host.route, link, {
          netnsFd: container.netns.fd,
          name: site.ifname,
          ifAlias: home.name,
        });
      } catch (error) {
        throw refusal(site, link, error);
      }
    });
    const { ifname } = site;
    const made = failing(`failed to move link failed to find "${ifname}" in container NS`, () =>
      getLink(container.route, ifname),
    );
    site.look('container', ifname, made);
  }

  foresee(site: Site): void {
    refuseUnfit(site, findDevice(this.#config, site, this.#records(site)).link);
  }

  differences(site: Site): Drift[] {
    const { ifname, netns } = site.request;
    const hides = true;
    const entry = recordedLink(site);
    if (!entry) return [{ text: `Sandbox in prevResult  doesn't match configured netns: ${netns}`, hides }];
    const link = site.find('container', ifname);
    if (!link) return [{ text: `Container Interface name in prevResult: ${ifname} not found`, hides }];
    const all: Drift[] = [];
    if (!sameMac(entry, link)) {
      const found = formatMac(link.mac);
      all.push({ text: `Interface ${ifname} Mac ${entry.mac} doesn't match container Mac: ${found}` });
    }
    const alias = this.#alias(site);
    const found = link.attributes.ifAlias ?? '';
    if (alias === undefined ? !isLinkName(found) : found !== alias) {
      const wanted = alias === undefined ? '' : `, which was "${alias}"`;
      all.push({ text: `the alias of ${ifname} is "${found}", not its name on the host${wanted}` });
    }
    return all;
  }

  /** As it must be; undefined where there is no record, of a device that the reference has moved. */
  #alias(site: Site): string | undefined {
    return this.#recordOf(site)?.name;
  }

  #recordOf(site: Site): DeviceRecord | undefined {
    return site.once(this, () => ownRecord(this.#records(site), site));
  }

  /** MAC and alias can be put right; a device that is not there is looked for on the host again. */
  mend(site: Site): boolean {
    const link = site.find('container', site.ifname);
    if (!link) return false;
    const entry = recordedLink(site);
    const mac = recordedMac(entry);
    if (entry && mac && !sameMac(entry, link)) setMac(site.container.route, link, mac);
    const alias = this.#alias(site);
    if (alias !== undefined) changeLink(site.container.route, link, { ifAlias: alias });
    return true;
  }
}

/** The record of this attachment, whichever device it is about. */
export function ownRecord(records: DeviceRecords, site: Site): DeviceRecord | undefined {
  return records.all().find((one) => isOf(one, site.owner));
}

function recordOf(site: Site, home: Home): DeviceRecord {
  const { network, containerId, ifname, netns } = site.request;
  const netnsId = namespaceText(site.container.netns.id);
  return { ...home, network, containerId, ifname, netns, netnsId };
}

/** What would be found out only after the device had lost its addresses. */
function refuseUnfit(site: Site, link: Link): void {
  const { ifname } = site;
  const master = findLinkByIndex(site.host.route, link.master);
  if (master) {
    throw new Error(
      `failed to move link "${link.name}": it is a port of "${master.name}", and DEL would not make it one again: ` +
        'take it off first',
    );
  }
  if (findLink(site.container.route, ifname)) throw taken(ifname, link);
}

function taken(ifname: string, link: Link, cause?: unknown): Error {
  const what = `failed to move link failed to move "${ifname}" (host: "${link.name}") to container NS`;
  const why = cause === undefined ? 'file exists: the container has a link of that name' : messageOf(cause);
  return new Error(`${what}: ${why}`, { cause });
}

function refusal(site: Site, link: Link, error: unknown): Error {
  if (errnoOf(error) === 'EEXIST') return taken(site.ifname, link, error);
  const advice = errnoOf(error) === 'EINVAL' ? whyNot(link) : '';
  const text = `failed to move link failed to move "${link.name}" to tempNS: ${messageOf(error)}${advice}`;
  return new Error(text, { cause: error });
}

/** Which links the kernel keeps where they are. */
function whyNot({ name, kind }: Link): string {
  if (tryStat(`/sys/class/net/${name}/phy80211`)) {
    return `: "${name}" is wireless, which moves with its whole radio only (iw phy … set netns), and not by host-device`;
  }
  const what = name === 'lo' ? 'the loopback interface' : kind ? `a ${kind}` : 'bound to it by its driver';
  return `: "${name}" is ${what} and cannot leave its namespace`;
}

/** The undo of a move that may have happened, or have stopped halfway under the old name. */
function moveBack(site: Site, container: Namespace, link: Link, record: DeviceRecord): void {
  const here = findLinkByIndex(site.host.route, link.index);
  if (here?.name === link.name) {
    // It has not gone. One that had come home without a DEL gets its own name all the same.
    if (link.name !== record.name) renameHome(site, here, record);
    return;
  }
  for (const name of [site.ifname, link.name]) {
    const there = findLink(container.route, name);
    if (!there || !isDevice(there, record) || formatMac(there.mac) !== formatMac(link.mac)) continue;
    if (there.index !== link.index && there.attributes.ifAlias !== record.name) continue;
    takeHome(site, container, there, record);
    return;
  }
}

/** The kernel forgets them when a device moves. Those it makes itself are back already, as is what others gave it. */
function restoreAddresses(site: Site, name: string, addresses: readonly Address[]): void {
  const link = findLink(site.host.route, name);
  if (!link) return;
  for (const { cidr, flags, scope } of addresses) {
    if (!(flags & addressFlags.permanent) || scope === routeScopes.link) continue;
    unlessThere(() => addAddress(site.host.route, link, cidr, flags & addressFlags.nodad));
  }
}

/** A virtual function that was given back just now may be busy for a moment. Milliseconds. */
const busyPatience = 2000;

/** That the device is up in the container. */
export class DeviceUp implements Resource {
  readonly #ifname: string;
  readonly #up: LinkUp;

  constructor(ifname: string) {
    this.#ifname = ifname;
    this.#up = new LinkUp('container', ifname, `Interface ${ifname} is down`);
  }

  describe(): string {
    return this.#up.describe();
  }

  ensure(site: Site): void | Promise<void> {
    const error = this.#try(site);
    if (error === undefined) return;
    if (errnoOf(error) === 'EBUSY') return this.#insist(site);
    throw this.#refused(error);
  }

  #try(site: Site): unknown {
    try {
      setUp(site.container.route, site.link('container', this.#ifname));
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async #insist(site: Site): Promise<void> {
    const until = performance.now() + busyPatience;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const error = this.#try(site);
      if (error === undefined) return;
      if (errnoOf(error) !== 'EBUSY' || performance.now() > until) throw this.#refused(error);
    }
  }

  #refused(error: unknown): Error {
    const text = `failed to move link failed to set "${this.#ifname}" up: ${messageOf(error)}`;
    return new Error(text, { cause: error });
  }

  differences(site: Site): Drift[] {
    return this.#up.differences(site);
  }
}
