/**
 * A node as a picture: what hangs on what, before anybody knows where it stands on the page. One card for each container
 * at each thing that carries it; a container with two networks has two, which name one another.
 */
import { namesAnother, readLinkOwner } from '@cni-ts/skeleton/link-owner';
import { grouped } from '../grouped.ts';
import type { Seen, SeenAttachment, SeenLink, SeenNamespace } from './seen.ts';

export interface Picture {
  readonly node: string;
  readonly networks: readonly PictureNetwork[];
  /** Links that a default route leaves by. */
  readonly uplinks: readonly PictureLink[];
  readonly groups: readonly Group[];
  /** Links of the host that carry no attachment and are none's end. */
  readonly others: readonly PictureLink[];
  /** How many containers have something wrong with them. */
  readonly problems: number;
}

export interface PictureNetwork {
  readonly name: string;
  readonly plugins: readonly string[];
  readonly attachments: number;
}

export interface PictureLink {
  readonly name: string;
  /** The kernel's word; '' for hardware. */
  readonly kind: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly addresses: readonly string[];
  /** Next hops of default routes over it. */
  readonly gateways: readonly string[];
}

/** What carries containers: a bridge, a link that theirs stand on, or, for pairs and moved devices, nothing. */
export interface Group {
  readonly kind: 'bridge' | 'upper' | 'pairs' | 'alone' | 'foreign';
  /** `bridge cni0`, `macvlan on eth0`. */
  readonly title: string;
  readonly link?: PictureLink | undefined;
  /** Some network of it hides its containers behind the host's addresses. */
  readonly masquerade: boolean;
  /** Ports of the bridge that no attachment owns. */
  readonly strangers: readonly string[];
  readonly cards: readonly Card[];
}

export interface Card {
  /** '' for a namespace that no attachment has. */
  readonly containerId: string;
  readonly title: string;
  readonly netns: string;
  readonly state: 'lives' | 'gone' | 'unknown';
  readonly interfaces: readonly CardInterface[];
  /** As people write them: `8080/tcp → 80`. */
  readonly ports: readonly string[];
  /** Bits per second. */
  readonly limits: { readonly toContainer?: number | undefined; readonly fromContainer?: number | undefined };
  /** Interfaces of the same container at other places: `net1 storage`. */
  readonly elsewhere: readonly string[];
  readonly problems: readonly string[];
}

export interface CardInterface {
  readonly name: string;
  /** '' where no network gave it. */
  readonly network: string;
  readonly addresses: readonly string[];
  /** The kernel could not be asked: the addresses are those ADD returned. */
  readonly remembered: boolean;
  /** Its other end, or the link below it; '' where there is none. */
  readonly hostLink: string;
  readonly mtu: number;
}

export function pictureOf(seen: Seen): Picture {
  const placed = withTheirLikes(seen.attachments.map((one) => place(one, seen)));
  const groups = grouped(placed, (one) => one.group);
  // A bridge is worth a picture also while nobody is at it.
  for (const { kind, name } of seen.links) {
    if (kind === 'bridge' && !groups.has(`bridge ${name}`)) groups.set(`bridge ${name}`, []);
  }
  const drawn = [...groups].map(([key, members]) => group(key, members, placed, seen)).sort(byWeight);
  const foreign = foreignGroup(seen);
  const all = foreign === undefined ? drawn : [...drawn, foreign];
  const uplinks = new Set(seen.gateways.map(({ link }) => link));
  const used = new Set([
    ...placed.flatMap(({ hostLink }) => (hostLink ? [hostLink.index] : [])),
    ...seen.links.filter(({ kind }) => kind === 'bridge').map(({ index }) => index),
    ...uplinks,
  ]);
  return {
    node: seen.node,
    networks: networks(seen.attachments),
    uplinks: seen.links.filter(({ index }) => uplinks.has(index)).map((one) => linkOf(one, seen)),
    groups: all,
    others: seen.links
      .filter((one) => !used.has(one.index) && !isAux(one, seen))
      .map((one) => linkOf(one, seen)),
    problems: new Set(
      all
        .flatMap(({ cards }) => cards.filter(hasProblem))
        .map(({ containerId, netns }) => `${containerId} ${netns}`),
    ).size,
  };
}

function hasProblem({ problems }: Card): boolean {
  return problems.length > 0;
}

/** The loopback, and helpers of an attachment that its card already tells of. */
function isAux({ name, kind, alias, index }: SeenLink, { links }: Seen): boolean {
  if (name === 'lo') return true;
  return (
    kind === 'ifb' && (readLinkOwner(alias) !== undefined || links.some(({ sendsTo }) => sendsTo === index))
  );
}

function byWeight(one: Group, other: Group): number {
  return other.cards.length - one.cards.length || (one.title < other.title ? -1 : 1);
}

function networks(attachments: readonly SeenAttachment[]): PictureNetwork[] {
  const found = new Map<string, { name: string; plugins: readonly string[]; attachments: number }>();
  for (const { network, plugins } of attachments) {
    const one = found.get(network) ?? { name: network, plugins, attachments: 0 };
    one.attachments++;
    found.set(network, one);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function linkOf({ index, name, kind, up, mtu, addresses }: SeenLink, { gateways }: Seen): PictureLink {
  const hops = gateways.filter(({ link, via }) => link === index && via !== '').map(({ via }) => via);
  return { name, kind, up, mtu, addresses, gateways: hops };
}

interface Placed {
  readonly attachment: SeenAttachment;
  /** The title of the group it belongs to. */
  readonly group: string;
  readonly state: SeenNamespace['state'];
  /** Its link in the container. */
  readonly inner: SeenLink | undefined;
  readonly hostLink: SeenLink | undefined;
}

function place(attachment: SeenAttachment, seen: Seen): Placed {
  const { netns, ifname } = attachment;
  const namespace = seen.namespaces.find(({ path }) => path === netns);
  const state = namespace?.state ?? 'unknown';
  const inner = namespace?.links.find(({ name }) => name === ifname);
  const hostLink = hostLinkOf(attachment, inner, seen.links);
  return { attachment, state, inner, hostLink, group: groupTitle(attachment, inner, hostLink, seen) };
}

/** Of what is gone, nothing says where it was: it is drawn with others of its network, where there are some. */
function withTheirLikes(placed: readonly Placed[]): Placed[] {
  return placed.map((one) => {
    if (one.hostLink !== undefined || one.inner !== undefined) return one;
    const like = placed.find(
      ({ attachment, hostLink }) => hostLink !== undefined && attachment.network === one.attachment.network,
    );
    return like === undefined ? one : { ...one, group: like.group };
  });
}

/** A veth's other end must point back: an index alone may be that of a link in another namespace. */
function hostLinkOf(
  attachment: SeenAttachment,
  inner: SeenLink | undefined,
  links: readonly SeenLink[],
): SeenLink | undefined {
  if (inner !== undefined && inner.lower !== 0) {
    const end = links.find(({ index }) => index === inner.lower);
    if (inner.kind !== 'veth') return end;
    if (end?.kind === 'veth' && end.lower === inner.index) return end;
  }
  const marked = links.find(({ alias, kind }) => kind === 'veth' && isMarked(alias, attachment));
  return marked ?? links.find(({ name, kind }) => kind === 'veth' && attachment.hostLinks.includes(name));
}

function groupTitle(
  { plugins, hostLinks }: SeenAttachment,
  inner: SeenLink | undefined,
  hostLink: SeenLink | undefined,
  { links }: Seen,
): string {
  if (inner !== undefined && hostLink !== undefined && inner.kind !== 'veth') {
    return `${inner.kind || 'link'} on ${hostLink.name}`;
  }
  const master = hostLink && links.find(({ index }) => index === hostLink.master);
  if (master !== undefined) return `${master.kind || 'link'} ${master.name}`;
  // The pair is gone: the result names the bridge all the same.
  const bridge = links.find(({ name, kind }) => kind === 'bridge' && hostLinks.includes(name));
  if (bridge !== undefined) return `bridge ${bridge.name}`;
  if (hostLink !== undefined) return 'pairs, each routed by the host';
  return `${plugins[0] ?? 'unknown'}, without a link of the host`;
}

function group(title: string, members: readonly Placed[], all: readonly Placed[], seen: Seen): Group {
  const first = members.find(({ inner }) => inner !== undefined);
  const isUpper = first?.hostLink !== undefined && first.inner?.kind !== 'veth';
  const carrier = isUpper
    ? first?.hostLink
    : seen.links.find(({ kind, name }) => `${kind || 'link'} ${name}` === title);
  const kind =
    carrier === undefined ? (title.startsWith('pairs') ? 'pairs' : 'alone') : isUpper ? 'upper' : 'bridge';
  const mode = isUpper && first?.inner?.mode ? `, mode ${first.inner.mode}` : '';
  const owned = new Set(members.map(({ hostLink }) => hostLink?.index));
  const ports = seen.links.filter(({ master, index }) => master === carrier?.index && !owned.has(index));
  const containers = grouped(members, ({ attachment }) => `${attachment.containerId} ${attachment.netns}`);
  return {
    kind,
    title: `${title}${mode}`,
    link: carrier && linkOf(carrier, seen),
    masquerade: members.some(({ attachment }) => attachment.masquerade),
    strangers: kind === 'bridge' ? ports.map(({ name }) => name) : [],
    cards: [...containers.values()].map((own) => card(own, all, seen)).sort(byTitle),
  };
}

/** As people count: web-2 before web-10. */
function byTitle(one: Card, other: Card): number {
  const pad = (text: string) => text.replace(/\d+/g, (digits) => digits.padStart(12, '0'));
  const [a, b] = [pad(one.title), pad(other.title)];
  return a === b ? 0 : a < b ? -1 : 1;
}

function card(own: readonly Placed[], all: readonly Placed[], { links }: Seen): Card {
  const [first] = own;
  const { containerId = '', netns = '', pod = '' } = first?.attachment ?? {};
  const state = first?.state ?? 'unknown';
  const elsewhere = all.filter(
    (one) =>
      one.attachment.containerId === containerId && one.attachment.netns === netns && !own.includes(one),
  );
  const limits = own.map(({ hostLink, attachment }) => ({
    to: hostLink?.limit,
    from: links.find((one) => one.kind === 'ifb' && isItsIfb(one, attachment, hostLink))?.limit,
  }));
  return {
    containerId,
    title: pod || containerId,
    netns,
    state,
    interfaces: own.map(interfaceOf),
    ports: own.flatMap(({ attachment }) => attachment.ports),
    limits: {
      toContainer: limits.find(({ to }) => to !== undefined)?.to,
      fromContainer: limits.find(({ from }) => from !== undefined)?.from,
    },
    elsewhere: elsewhere.map(({ attachment: { ifname, network } }) => `${ifname} ${network}`),
    problems: state === 'gone' ? ['its namespace is gone'] : own.flatMap(problemsOf),
  };
}

/** By where the host's end sends what it receives; the Go plugin leaves no mark on its ifb. */
function isItsIfb(ifb: SeenLink, attachment: SeenAttachment, hostLink: SeenLink | undefined): boolean {
  if (hostLink?.sendsTo !== undefined) return ifb.index === hostLink.sendsTo;
  return isMarked(ifb.alias, attachment);
}

/** Long names are hashes in an alias. */
function isMarked(alias: string, attachment: SeenAttachment): boolean {
  return readLinkOwner(alias) !== undefined && !namesAnother(alias, attachment);
}

function interfaceOf({ attachment, inner, hostLink }: Placed): CardInterface {
  const { ifname, network, addresses } = attachment;
  return {
    name: ifname,
    network,
    addresses: inner?.addresses ?? addresses,
    remembered: inner === undefined,
    hostLink: hostLink?.name ?? '',
    mtu: inner?.mtu ?? 0,
  };
}

function problemsOf({ attachment, state, inner, hostLink }: Placed): string[] {
  const { ifname, addresses } = attachment;
  if (state !== 'lives') return [];
  if (inner === undefined) return [`${ifname} is not there`];
  const lost = addresses.filter((one) => !inner.addresses.includes(one));
  return [
    ...(inner.up ? [] : [`${ifname} is down`]),
    ...(hostLink === undefined || hostLink.up ? [] : [`${hostLink.name} is down`]),
    ...lost.map((one) => `${ifname} has lost ${one}`),
  ];
}

/** Namespaces with a name that no attachment has, where there is more in them than the loopback. */
function foreignGroup({ namespaces, attachments }: Seen): Group | undefined {
  const taken = new Set(attachments.map(({ netns }) => netns));
  const cards = namespaces
    .filter(({ path, links }) => !taken.has(path) && links.some(({ name }) => name !== 'lo'))
    .map(
      ({ path, state, links }): Card => ({
        containerId: '',
        title: path.slice(path.lastIndexOf('/') + 1),
        netns: path,
        state,
        interfaces: links
          .filter(({ name }) => name !== 'lo')
          .map(({ name, addresses, mtu }) => ({
            name,
            network: '',
            addresses,
            remembered: false,
            hostLink: '',
            mtu,
          })),
        ports: [],
        limits: {},
        elsewhere: [],
        problems: [],
      }),
    );
  if (cards.length === 0) return undefined;
  const title = 'namespaces that CNI has not attached';
  return { kind: 'foreign', title, masquerade: false, strangers: [], cards: cards.sort(byTitle) };
}
