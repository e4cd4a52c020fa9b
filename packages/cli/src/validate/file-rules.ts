/** What configurations of one folder have in common and should not. */

import { formatCidr } from '@cni-ts/address/cidr';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import type { GivenRange } from './address-field.ts';
import { overlap, rangeText } from './address-rules.ts';
import type { ConfigDocument, Json } from './document.ts';
import { type Draft, error, type Path, warning } from './finding.ts';
import { pluginsOf } from './list-rules.ts';
import { upperPlugins } from './plugin-types.ts';

export interface Network {
  readonly document: ConfigDocument;
  readonly ranges: readonly GivenRange[];
}

/** For each network what is wrong with it beside those before it. */
export function fileFindings(networks: readonly Network[]): { document: ConfigDocument; draft: Draft }[] {
  const found: { document: ConfigDocument; draft: Draft }[] = [];
  // Lists are looked for first, by whoever looks for a network by its name.
  const inOrder = networks.toSorted(
    (a, b) => Number(a.document.kind !== 'list') - Number(b.document.kind !== 'list'),
  );
  for (const [i, one] of inOrder.entries()) {
    const before = inOrder.slice(0, i);
    const name = nameOf(one.document);
    // Resources of one name may be of two namespaces.
    const isResource = one.document.resource !== undefined;
    const same = before.find(({ document }) => !isResource && name !== '' && nameOf(document) === name);
    if (same) {
      const message = `network ${name} is defined by ${same.document.source.file} as well, which comes first`;
      found.push({ document: one.document, draft: error('CNI1040', ['name'], message) });
      continue;
    }
    for (const other of before) {
      const drafts = [...sharedBridge(one, other), ...sharedMaster(one, other), ...sharedRanges(one, other)];
      for (const draft of drafts) found.push({ document: one.document, draft });
    }
  }
  return found;
}

export function nameOf({ json, resource }: ConfigDocument): string {
  return textMember(json, 'name') || (resource ?? '');
}

function sharedRanges(one: Network, other: Network): Draft[] {
  const masters = [masterOf(one.document), masterOf(other.document)];
  if (masters[0] !== undefined && masters[1] !== undefined && masters[0] !== masters[1]) return [];
  return one.ranges.flatMap((range) => {
    const met = other.ranges.find((theirs) => overlap(range, theirs) && !isShared(range, theirs));
    if (!met) return [];
    const message = `${rangeText(range)} overlaps ${rangeText(met)} of network ${nameOf(other.document)} in ${other.document.source.file}${apart(range, met)}`;
    return [warning('CNI2007', [...range.path, range.space === undefined ? 'subnet' : 'range'], message)];
  });
}

/** Of one space no address is given twice, whichever of its networks asks. */
function isShared(one: GivenRange, other: GivenRange): boolean {
  return one.space !== undefined && one.space === other.space;
}

/** Why two networks of which at least one is the cluster's do not know of each other. */
function apart(one: GivenRange, other: GivenRange): string {
  if (one.space === undefined && other.space === undefined) return '';
  if (one.space !== undefined && other.space !== undefined) {
    return `, and spaces ${one.space} and ${other.space} (network_name) do not know of each other`;
  }
  return ', and host-local on this node does not know what the cluster gives: leave out of one what the other has';
}

/** The link of the node that a network stands on, where it has one. */
function masterOf(document: ConfigDocument): string | undefined {
  const upper = pluginsOf(document).find(({ type }) => upperPlugins.includes(type));
  return upper && textMember(upper.json, 'master');
}

/** What the kernel's drivers have of one link: drivers/net/macvlan.c, drivers/net/ipvlan/ipvlan_main.c. */
function sharedMaster(one: Network, other: Network): Draft[] {
  const [own, its] = [one, other].map(({ document }) =>
    pluginsOf(document).find(({ type }) => type === 'macvlan' || type === 'ipvlan'),
  );
  const master = textMember(own?.json, 'master');
  if (!own || !its || master === '' || master !== textMember(its.json, 'master')) return [];
  const where = `network ${nameOf(other.document)} in ${other.document.source.file}`;
  if (own.type !== its.type) {
    const message = `${master} is the master of ${its.type} links of ${where}, and cannot be one of ${own.type} links too`;
    return [error('CNI1043', [...own.path, 'master'], message)];
  }
  const isAlone = [own, its].some(({ json }) => textMember(json, 'mode') === 'passthru');
  if (!isAlone) return [];
  return [
    error(
      'CNI1043',
      [...own.path, 'master'],
      `${master} is the master of ${where} too, and passthru takes all of it`,
    ),
  ];
}

interface BridgeUse {
  readonly json: Json;
  readonly path: Path;
  readonly name: string;
}

function bridgeOf(document: ConfigDocument): BridgeUse | undefined {
  const found = pluginsOf(document).find(({ type }) => type === 'bridge');
  return found && { json: found.json, path: found.path, name: textMember(found.json, 'bridge') || 'cni0' };
}

function sharedBridge(one: Network, other: Network): Draft[] {
  const [own, theirs] = [bridgeOf(one.document), bridgeOf(other.document)];
  if (!own || !theirs || own.name !== theirs.name) return [];
  const path = memberOf(own.json, 'bridge') === undefined ? [...own.path, 'type'] : [...own.path, 'bridge'];
  const shared = `bridge ${own.name} is network ${nameOf(other.document)}'s in ${other.document.source.file} too`;
  if (isGateway(own.json) && isGateway(theirs.json)) {
    for (const { subnet } of one.ranges) {
      const differs = other.ranges.find(
        (range) =>
          range.subnet.ip.family === subnet.ip.family && formatCidr(range.subnet) !== formatCidr(subnet),
      );
      if (!differs) continue;
      const message = `${shared}, which gives it an address of ${formatCidr(differs.subnet)}, not of ${formatCidr(subnet)}`;
      return [
        memberOf(own.json, 'forceAddress') === true
          ? warning('CNI1042', path, message)
          : error('CNI1042', path, message),
      ];
    }
  }
  for (const key of ['mtu', 'promiscMode']) {
    const [mine, its] = [memberOf(own.json, key), memberOf(theirs.json, key)];
    if (mine !== undefined && its !== undefined && mine !== its) {
      return [warning('CNI1042', [...own.path, key], `${shared}, with ${key} ${String(its)}`)];
    }
  }
  return [];
}

function isGateway(json: Json): boolean {
  return (
    memberOf(json, 'isGateway') === true ||
    memberOf(json, 'isDefaultGateway') === true ||
    objectMember(json, 'gateway') !== undefined
  );
}
