/**
 * Whose a thing of the kernel is, as far as a text on it tells: the one reader of every alias, comment and chain name that
 * we, our earlier releases or the reference write. What only hashes tell is found by hashing what is known; see
 * `isSaid`, and `packages/cli/src/owner-names.ts` for names that are nothing but a hash.
 */
import { isNameOf, readLinkOwner } from './link-owner.ts';
import { networkMark, type Owner, ownerMark } from './owner-comment.ts';

/** What a text says. Absent is what it does not. */
export interface SaidOwner {
  readonly network?: string;
  readonly containerId?: string;
  readonly ifname?: string;
  /** The plugin's type. */
  readonly plugin?: string;
  /** Eight hex digits of the configuration it was made by. */
  readonly config?: string;
  /** Hashes of the network, and of interface and container, by which the names are known for sure: see `isSaid`. */
  readonly mark?: string;
  /** The text was cut to its room: the last name may be only the beginning of one. */
  readonly cut?: true;
}

type Format = (text: string) => SaidOwner | undefined;

/** In this order: the first that reads a text has it. */
const formats: readonly Format[] = [alias, marked, named, spoofCheck, interfaceOnly];

/** Undefined for a text of nobody that we know, and for one that is a hash and nothing else. */
export function ownerOf(text: string): SaidOwner | undefined {
  for (const format of formats) {
    const said = format(text);
    if (said) return said;
  }
  return undefined;
}

/** Whether what was said fits this attachment: by its hashes where there are such, else by each name that is told. */
export function isSaid(said: SaidOwner, owner: Owner): boolean {
  const { mark, network, containerId, ifname, cut } = said;
  if (mark !== undefined)
    return mark.length > 17 ? mark === ownerMark(owner) : mark === networkMark(owner.network);
  if (network !== undefined && !isNameOf(network, owner.network)) return false;
  if (ifname !== undefined && !isNameOf(ifname, owner.ifname)) return false;
  if (containerId === undefined) return network !== undefined;
  return (
    isNameOf(containerId, owner.containerId) || (cut === true && owner.containerId.startsWith(containerId))
  );
}

/** `cni:1 net=… id=… if=… plugin=… cfg=…`: aliases of links that our plugins make. Very long names are hashes there. */
function alias(text: string): SaidOwner | undefined {
  const said = readLinkOwner(text);
  if (!said) return undefined;
  const config = / cfg=([0-9a-f]{8})(?: |$)/.exec(text)?.[1];
  return { ...said, ...(config !== undefined && { config }) };
}

/**
 * `‹16 hex›-‹16 hex›, net: …, if: …, id: …`: comments of rules, elements and chains in nftables, ours and the reference's;
 * aliases of ifbs that earlier releases made. portmap's end with the interface, a firewall's may be the mark alone.
 */
function marked(text: string): SaidOwner | undefined {
  const found = /^([0-9a-f]{16}-[0-9a-f]{16})(?:, (.*))?$/.exec(text);
  if (!found) return undefined;
  const [, mark = '', rest = ''] = found;
  const names = /^net: (.*?)(?:, if: (.*?)(?:, id: (.*))?)?$/.exec(rest);
  const [, network, ifname, containerId] = names ?? [];
  return {
    mark,
    ...(network && { network }),
    ...(ifname && { ifname }),
    ...(containerId && { containerId }),
    ...(text.length >= longestNftComment && { cut: true }),
  };
}
/** nft takes no longer comment. */
const longestNftComment = 128;

/** Network and container that such a comment names, as far as it was not cut: see `named`. */
export function readNamed(
  comment: string | undefined,
): { readonly network: string; readonly containerId: string } | undefined {
  const said = named(comment ?? '');
  return said && { network: said.network ?? '', containerId: said.containerId ?? '' };
}

/** `name: "…" id: "…"`: comments of iptables' rules, which are the reference's; portmap's have `dnat ` before it. */
function named(text: string): SaidOwner | undefined {
  const found = /(?:^|^(.*) )name: "([^"]*)" id: "([^"]*?)("|\.\.+)?$/.exec(text);
  if (!found) return undefined;
  const [, what, network = '', containerId = '', end = ''] = found;
  return {
    network,
    ...(containerId && { containerId }),
    ...(what === 'dnat' && { plugin: 'portmap' }),
    ...(end !== '"' && { cut: true }),
  };
}

/** The reference's spoof check: comments `macspoofchk-‹container›-‹interface›`, chains `cni-br-iface-‹…›` and `…-mac`.
 *  They are run together: a dash in the interface's name is taken for the one between the two. */
function spoofCheck(text: string): SaidOwner | undefined {
  const names = text.startsWith('cni-br-iface-') ? text.slice(13).replace(/-mac$/, '') : undefined;
  const found = /^(.+)-([^-]+)$/.exec(names ?? (text.startsWith('macspoofchk-') ? text.slice(12) : ''));
  if (!found) return undefined;
  const [, containerId = '', ifname = ''] = found;
  if (/^[0-9a-f]{16}$/.test(containerId) && /^[0-9a-f]{16}$/.test(ifname)) {
    return { mark: `${containerId}-${ifname}`, plugin: 'bridge' };
  }
  return { containerId, ifname, plugin: 'bridge' };
}

/** `if: eth0`: comments of portmap's chains in iptables' tables, whose names are hashes of network and container. */
function interfaceOnly(text: string): SaidOwner | undefined {
  const ifname = /^if: (\S+)$/.exec(text)?.[1];
  return ifname === undefined ? undefined : { ifname, plugin: 'portmap' };
}
