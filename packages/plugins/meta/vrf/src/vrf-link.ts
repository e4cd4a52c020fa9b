import { errnoOf } from '@cni-ts/libc/syscall-error';
import type { Netlink } from '@cni-ts/netlink/socket';
import { refusalOfKind } from '@cni-ts/resource/kind-of-link';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import { freeTable, tablesInUse, vrfTable } from '@cni-ts/resource/routing-tables';
import type { Site } from '@cni-ts/resource/site';
import {
  createLinkWithAlias,
  deleteLink,
  findLink,
  IFF_UP,
  type Link,
  listLinks,
  setUp,
} from '@cni-ts/rtnetlink/link';
import { linkOwner, readLinkOwner } from '@cni-ts/skeleton/link-owner';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';

export const notVrf = (name: string): string => `Netlink ${name} is not a VRF`;

/** The VRF in the container. Made by the first attachment that names it, taken as it is by others. */
export class VrfLink implements Resource {
  readonly #name: string;
  readonly #table: number;

  /** `table`: 0 for any. */
  constructor(name: string, table: number) {
    this.#name = name;
    this.#table = table;
  }

  describe(site: Site): string {
    return `link ${this.#name}, vrf with table ${this.#table || freeTable(tablesInUse(site), 1)}`;
  }

  ensure(site: Site): void {
    failing('cmdAdd failed', () => this.#ensure(site));
  }

  #ensure(site: Site): void {
    const { container, request, owner, ifname } = site;
    const there = site.find('container', this.#name);
    if (there) {
      this.#refuseOther(there);
      if (!(there.flags & IFF_UP)) setUp(container.route, there);
      return;
    }
    // Asked for before there is a VRF to take away again.
    if (!site.find('container', ifname)) throw new Error(noLink(site));
    const name = this.#name;
    const table = this.#table || freeTable(tablesInUse(site), 1);
    const alias = linkOwner(owner, 'vrf');
    request.undo.make(
      `vrf ${name}`,
      () => createVrf(container.route, { name, table, alias }),
      () => {
        const made = findLink(container.route, name);
        if (made?.attributes.ifAlias === alias) deleteUnusedVrf(container.route, made);
      },
    );
    site.look('container', name);
  }

  #refuseOther(there: Link): void {
    const table = vrfTable(there);
    if (table === undefined) throw new Error(notVrf(this.#name));
    if (this.#table !== 0 && table !== this.#table)
      throw new Error(`VRF ${this.#name} already exist with different routing table ${table}`);
  }

  foresee(site: Site, note: (text: string) => void): void {
    const there = site.find('container', this.#name);
    failing('cmdAdd failed', () => {
      if (there) return this.#refuseOther(there);
      const refusal = refusalOfKind(site, 'vrf', note);
      if (refusal) throw notAdded(this.#name, this.#table, refusal);
    });
  }

  differences(site: Site): Drift[] {
    const link = site.find('container', this.#name);
    if (!link) return [{ text: 'Link not found', detail: `the VRF ${this.#name} is gone`, hides: true }];
    const table = vrfTable(link);
    if (table === undefined) return [{ text: notVrf(this.#name), hides: true }];
    if (this.#table !== 0 && table !== this.#table)
      return [{ text: `VRF ${this.#name} has routing table ${table}, not ${this.#table}`, hides: true }];
    return link.flags & IFF_UP ? [] : [{ text: `VRF ${this.#name} is down` }];
  }
}

/** What is said where the container has no such link. */
export function noLink({ ifname }: Site): string {
  return (
    `could not get link by name ${ifname}: Link not found; a VRF takes network devices alone, ` +
    'and a device that user space drives (DPDK) is none'
  );
}

/** Creates a VRF that is up. The error of a kernel that has none says so. */
export function createVrf(
  nl: Netlink,
  { name, table, alias }: { readonly name: string; readonly table: number; readonly alias: string },
): void {
  const info = { kind: 'vrf', data: { table } } as const;
  try {
    createLinkWithAlias(nl, { name, info, up: true }, alias);
  } catch (error) {
    throw notAdded(name, table, error);
  }
}

function notAdded(name: string, table: number, error: unknown): Error {
  const text = `could not add VRF ${name}: ${errorText(error)}${advice(errnoOf(error), table)}`;
  return new Error(text, { cause: error });
}

function advice(errno: string | undefined, table: number): string {
  if (errno === 'EOPNOTSUPP')
    return ': the kernel has no VRF; load its module vrf, or install the package that has it (linux-modules-extra)';
  if (errno === 'EBUSY')
    return `: net.vrf.strict_mode is on, and another VRF has table ${table}; set another table, or the setting to 0`;
  return '';
}

/** Deletes the VRF if a plugin of ours made it and no link is in it any more. */
export function deleteUnusedVrf(nl: Netlink, vrf: Link): void {
  if (readLinkOwner(vrf.attributes.ifAlias ?? '')?.plugin !== 'vrf') return;
  if (!listLinks(nl).some(({ master }) => master === vrf.index)) deleteLink(nl, vrf);
}

/** Whether a plugin of ours made the VRF for another container: the path leads there by now. */
export function isForAnother(vrf: Link, { owner }: Site): boolean {
  const container = (alias: string) => readLinkOwner(alias)?.containerId;
  const said = container(vrf.attributes.ifAlias ?? '');
  return said !== undefined && said !== container(linkOwner(owner, 'vrf'));
}
