/** Looks at this node: the kernel's links, here and in each namespace of an attachment, and what libcni remembers. */
import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, isLinkLocal6 } from '@cni-ts/address/ip';
import { textOf } from '@cni-ts/libc/file';
import { type NamespaceId, Netns, NetnsError } from '@cni-ts/libc/netns';
import { readSysctl } from '@cni-ts/libc/sysctl';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { isJsonObject, parseJson } from '@cni-ts/libcni/json';
import { Netlink } from '@cni-ts/netlink/socket';
import { everywhere, listAddresses } from '@cni-ts/rtnetlink/address';
import { ingressRedirects } from '@cni-ts/rtnetlink/filter';
import { IFF_UP, type Link, linkData, listLinks } from '@cni-ts/rtnetlink/link';
import { findQdisc } from '@cni-ts/rtnetlink/qdisc';
import { listRoutes, RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';
import { cachedResult } from '../cached-result.ts';
import { listed } from '../listed.ts';
import { namedNamespaces } from '../netns-argument.ts';
import { takesPorts } from '../node/attached.ts';
import type { VerbCall } from '../verb.ts';
import type { Seen, SeenAttachment, SeenLink, SeenNamespace } from './seen.ts';

type Runtime = VerbCall['runtime'];

/** Throws where the kernel refuses to list the host's links; a namespace that cannot be entered is told as unknown. */
export function lookAtNode(runtime: Runtime): Seen {
  const attachments = runtime.getCachedAttachments().map((one) => attachmentOf(one, runtime));
  const route = Netlink.open('route');
  try {
    return {
      node: readSysctl('kernel/hostname'),
      links: linksBy(route, true),
      gateways: gatewaysBy(route),
      attachments,
      namespaces: namespacesOf(attachments.map(({ netns }) => netns)),
    };
  } finally {
    route.close();
  }
}

function linksBy(route: Netlink, isHost: boolean): SeenLink[] {
  const addresses = listAddresses(route, everywhere);
  const links = listLinks(route);
  const hasIfb = isHost && links.some(({ kind }) => kind === 'ifb');
  return links.map((link) => ({
    index: link.index,
    name: link.name,
    kind: link.kind,
    up: (link.flags & IFF_UP) !== 0,
    mtu: link.mtu,
    master: link.master,
    lower: link.lower,
    alias: link.attributes.ifAlias ?? '',
    addresses: addresses
      .filter(({ index, cidr }) => index === link.index && !isLinkLocal6(cidr.ip))
      .map(({ cidr }) => formatCidr(cidr)),
    mode: linkData(link, 'macvlan')?.mode ?? linkData(link, 'ipvlan')?.mode,
    // The bandwidth plugin's buckets are at the host's end of a pair, and at an ifb.
    limit: isHost && (link.kind === 'veth' || link.kind === 'ifb') ? limitOf(route, link) : undefined,
    sendsTo: hasIfb && link.kind === 'veth' ? ingressRedirects(route, link)[0] : undefined,
  }));
}

function limitOf(route: Netlink, link: Link): number | undefined {
  const bucket = findQdisc(route, link)?.tokenBucket;
  return bucket && Number(bucket.rate) * 8;
}

function gatewaysBy(route: Netlink): Seen['gateways'] {
  return ([4, 6] as const).flatMap((family) =>
    listRoutes(route, family)
      // Type 1 is a route that leads somewhere: RTN_UNICAST, include/uapi/linux/rtnetlink.h.
      .filter(({ dst, table, type }) => dst.prefix === 0 && table === RT_TABLE_MAIN && type === 1)
      .flatMap(({ hops }) => hops)
      .map(({ index, gateway }) => ({ link: index, via: gateway ? formatIp(gateway) : '' })),
  );
}

function namespacesOf(paths: readonly string[]): SeenNamespace[] {
  const seen: SeenNamespace[] = [];
  const ids: NamespaceId[] = [Netns.here().id];
  for (const path of new Set(paths.filter((one) => one !== ''))) seen.push(namespaceAt(path, ids, true));
  for (const name of listed(namedNamespaces)) {
    const found = namespaceAt(`${namedNamespaces}/${name}`, ids, false);
    // What is left of one that is gone is no news here.
    if (found.state === 'lives') seen.push(found);
  }
  return seen;
}

/** `again`: also where it has been looked into under another path; else that one is left out, as gone. */
function namespaceAt(path: string, ids: NamespaceId[], again: boolean): SeenNamespace {
  let netns: Netns | undefined;
  try {
    netns = Netns.open(path);
    const { id } = netns;
    if (!again && ids.some(({ dev, ino }) => dev === id.dev && ino === id.ino)) {
      return { path, state: 'gone', links: [] };
    }
    ids.push(id);
    const route = Netlink.open('route', netns);
    try {
      return { path, state: 'lives', links: linksBy(route, false) };
    } finally {
      route.close();
    }
  } catch (error) {
    return { path, state: error instanceof NetnsError && error.gone ? 'gone' : 'unknown', links: [] };
  } finally {
    netns?.close();
  }
}

function attachmentOf(one: CachedAttachment, runtime: Runtime): SeenAttachment {
  const { network, containerId, ifname, netns = '', args = [] } = one;
  const argument = (name: string) => args.find(([key]) => key === name)?.[1] ?? '';
  const pod = argument('K8S_POD_NAME');
  const plugins = pluginsIn(one.config);
  return {
    network,
    containerId,
    ifname,
    netns,
    pod: pod && `${argument('K8S_POD_NAMESPACE') || 'default'}/${pod}`,
    plugins: plugins.map(({ type }) => String(type ?? '?')),
    masquerade: plugins.some(({ ipMasq }) => ipMasq === true),
    ports: plugins.some(takesPorts) ? portsOf(one.capabilityArgs?.portMappings) : [],
    ...resultOf(one, runtime),
  };
}

function pluginsIn(config: Uint8Array): Record<string, unknown>[] {
  try {
    const json = parseJson(textOf(config));
    if (!isJsonObject(json)) return [];
    const { plugins } = json;
    return Array.isArray(plugins) ? plugins.filter(isJsonObject) : [json];
  } catch {
    return []; // damaged: the attachment is drawn all the same
  }
}

function portsOf(mappings: unknown): string[] {
  if (!Array.isArray(mappings)) return [];
  return mappings.filter(isJsonObject).map(({ hostPort, containerPort, protocol, hostIP }) => {
    const at =
      typeof hostIP === 'string' && hostIP !== '' ? `${hostIP.includes(':') ? `[${hostIP}]` : hostIP}:` : '';
    return `${at}${hostPort}/${protocol || 'tcp'} → ${containerPort}`;
  });
}

function resultOf(one: CachedAttachment, runtime: Runtime): Pick<SeenAttachment, 'addresses' | 'hostLinks'> {
  try {
    const { ips = [], interfaces = [] } = cachedResult(one, runtime);
    const own = ips.filter(({ interface: at }) => at === undefined || interfaces[at]?.name === one.ifname);
    return {
      addresses: own.map(({ address }) => {
        const cidr = parseCidr(address);
        return cidr ? formatCidr(cidr) : address;
      }),
      hostLinks: interfaces.filter(({ sandbox }) => !sandbox).map(({ name }) => name ?? ''),
    };
  } catch {
    return { addresses: [], hostLinks: [] }; // damaged: the attachment is drawn all the same
  }
}
