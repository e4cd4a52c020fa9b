/** DEL and GC: the device comes home, from wherever it is. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { sleep } from '@cni-ts/libc/process';
import { findNamespace, type Namespace, namespaceAt } from '@cni-ts/resource/namespace';
import { recordedInterfaces } from '@cni-ts/resource/recorded-interfaces';
import type { Lasting } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { findLink, type Link, listLinks } from '@cni-ts/rtnetlink/link';
import { readLinkOwner } from '@cni-ts/skeleton/link-owner';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { tryEach } from '@cni-ts/spec/failing';
import { type Config, dataDirIn } from './config.ts';
import { type DeviceRecord, DeviceRecords, isOf, namespaceText } from './device-record.ts';
import { isDevice, isLinkName } from './find-device.ts';
import { renameHome, takeHome } from './homecoming.ts';
import { ownRecord } from './moved-device.ts';

export class DeviceLasting implements Lasting {
  readonly name = 'the device';
  readonly #device: string;

  constructor(config: Config | undefined) {
    this.#device = config?.device ?? '';
  }

  remove(site: Site): void | Promise<void> {
    const records = recordsOf(site);
    return records.locked(() => {
      records.tidy();
      const inside = findNamespace(site.request);
      const link = inside && findLink(inside.route, site.ifname);
      const claim = records.read(link?.attributes.ifAlias ?? '');
      const record = claim && isOf(claim, site.owner) ? claim : ownRecord(records, site);
      if (record) bringHome(site, records, record, inside, true);
      else if (!inside) this.#returned(site);
      else this.#unrecorded(site, records, inside, link);
    });
  }

  /** One that the reference has moved: nothing is known but its alias, and prevResult. */
  #unrecorded(site: Site, records: DeviceRecords, inside: Namespace, link: Link | undefined): void {
    if (link && this.#isOurs(site, records, inside, link)) {
      const alias = link.attributes.ifAlias ?? '';
      if (!isLinkName(alias)) {
        throw new Error(
          `the alias of "${link.name}" is ${JSON.stringify(alias)}, which is no name for a link: ` +
            'it was changed in the container; set it to the name that the device had on the host',
        );
      }
      takeHome(site, inside, link, { name: alias, alias: '' });
      return;
    }
    // It may have another name by now.
    const others = listLinks(inside.route).filter(
      (one) =>
        one.index !== link?.index &&
        isLinkName(one.attributes.ifAlias ?? '') &&
        this.#isOurs(site, records, inside, one),
    );
    if (others.length > 1) {
      const names = others.map(({ name }) => `"${name}"`).join(' and ');
      throw new Error(
        `the container has no "${site.ifname}" of ours, and ${names} may be it: none was moved`,
      );
    }
    for (const one of others) takeHome(site, inside, one, { name: one.attributes.ifAlias ?? '', alias: '' });
  }

  /** Known by prevResult's MAC, else by the configuration. A link without an alias was not moved. */
  #isOurs(site: Site, records: DeviceRecords, inside: Namespace, { name, mac, attributes }: Link): boolean {
    const { ifAlias = '' } = attributes;
    // Another plugin's, or another attachment's; a record of another container is older than the reference's move.
    if (ifAlias === '' || readLinkOwner(ifAlias)) return false;
    if (records.read(ifAlias)?.netnsId === namespaceText(inside.netns.id)) return false;
    if (ifAlias === this.#device) return true;
    const wanted = recordedMacOf(site);
    if (wanted !== undefined) return wanted === formatMac(mac);
    return name === site.ifname && this.#device === '' && isLinkName(ifAlias);
  }

  /** The namespace ended without a DEL, and what the reference had moved may be on the host by its container's name. */
  #returned(site: Site): void {
    const wanted = recordedMacOf(site);
    const found = listLinks(site.host.route).filter(({ name, mac, attributes }) => {
      const { ifAlias = '' } = attributes;
      const isNamed = name === site.ifname || /^dev\d+$/.test(name);
      if (!isNamed || ifAlias === name || !isLinkName(ifAlias)) return false;
      return wanted === undefined ? ifAlias === this.#device : wanted === formatMac(mac);
    });
    if (found.length !== 1) return;
    const [link] = found;
    if (link) renameHome(site, link, { name: link.attributes.ifAlias ?? '', alias: '' });
  }

  collect(site: Site, valid: readonly Attachment[]): void {
    const records = recordsOf(site);
    const { network } = site.request;
    records.locked(() => {
      records.tidy();
      const stale = records
        .all()
        .filter((one) => one.network === network && !valid.some((at) => isOf(one, { network, ...at })));
      tryEach(stale, (record) => bringHome(site, records, record, undefined, false));
    });
  }
}

function recordsOf(site: Site): DeviceRecords {
  const log = (line: string) => site.request.log(line);
  return new DeviceRecords(dataDirIn(site.request.json, log), site.host.netns.id, log);
}

function recordedMacOf(site: Site): string | undefined {
  const entry = recordedInterfaces(site.request).findLast(
    ({ name, sandbox }) => name === site.ifname && sandbox,
  );
  const mac = entry?.mac ? parseMac(entry.mac) : undefined;
  return mac && formatMac(mac);
}

/** `inside`: the namespace that the call is about; the record knows its own. `early`: it may have ended just now. */
function bringHome(
  site: Site,
  records: DeviceRecords,
  record: DeviceRecord,
  inside: Namespace | undefined,
  early: boolean,
): void {
  const at = recordedNamespace(site, record, inside);
  const link = at && deviceIn(at, record);
  if (at && link) takeHome(site, at, link, record);
  else {
    const here = findReturned(site, record, !at && early);
    if (here) renameHome(site, here, record);
    else if (!at && early && record.kind === '' && !findLink(site.host.route, record.name)) {
      // GC forgets it, or who moves the device the next time.
      site.request.log(`host-device: "${record.name}" has not come home from the namespace that ended`);
      return;
    }
  }
  records.remove(record);
}

/** How long the kernel may take to end a namespace and bring hardware back from it. Milliseconds. */
const homecomingPatience = 1000;

/** The device on the host, not as it was yet: under another name, or with the alias it had in the container. */
function findReturned(site: Site, record: DeviceRecord, waits: boolean): Link | undefined {
  const { route } = site.host;
  const look = () =>
    listLinks(route).find((one) => one.attributes.ifAlias === record.name && isDevice(one, record));
  let here = look();
  // A virtual device goes with its namespace.
  if (here || !waits || record.kind !== '') return here;
  const until = performance.now() + homecomingPatience;
  while (!here && performance.now() < until && !findLink(route, record.name)) {
    sleep(20_000);
    here = look();
  }
  return here;
}

function recordedNamespace(
  site: Site,
  record: DeviceRecord,
  inside: Namespace | undefined,
): Namespace | undefined {
  const isIt = (one: Namespace | undefined) => one && namespaceText(one.netns.id) === record.netnsId;
  if (isIt(inside)) return inside;
  try {
    const found = namespaceAt(record.netns, site.request);
    return isIt(found) ? found : undefined;
  } catch (error) {
    site.request.log(`host-device: cannot look for "${record.name}" in ${record.netns}: ${errorText(error)}`);
    return undefined;
  }
}

/** The device in its container: by its alias whatever its name, or where that was changed, by name and MAC. */
function deviceIn(at: Namespace, record: DeviceRecord): Link | undefined {
  const named = findLink(at.route, record.ifname);
  if (named && named.attributes.ifAlias === record.name && isDevice(named, record)) return named;
  const marked = listLinks(at.route).filter(
    (one) =>
      isDevice(one, record) && (one.attributes.ifAlias === record.name || formatMac(one.mac) === record.mac),
  );
  const best = marked.filter((one) => one.attributes.ifAlias === record.name);
  const left = best.length > 0 ? best : marked;
  if (left.length > 1) {
    const names = left.map(({ name }) => `"${name}"`).join(' and ');
    throw new Error(`${names} in the container may be the host's device "${record.name}": none was moved`);
  }
  return left[0];
}
