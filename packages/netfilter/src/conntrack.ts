import { equalIp, type Ip } from '@cni-ts/address/ip';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes, nest, type Read } from '@cni-ts/netlink/attributes';
import { be16, be32, ip, u8, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import type { Netlink } from '@cni-ts/netlink/socket';
import { families, messageType, nfgenmsg } from './nfnetlink.ts';
import { protocols } from './nftables/set.ts';

/**
 * The connection table. A flow keeps the translation that its first packet got, so when a port moves to another
 * container, flows of the old mapping have to be forgotten, above all UDP, whose senders never start anew.
 */
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;

/** CTA_FILTER_F_*, net/netfilter/nf_internals.h: which members of a given tuple count. Kernel 5.8 and later. */
const filterFlag = {
  destination: 1 << 1,
  source: 1 << 0,
  protocol: 1 << 3,
  destinationPort: 1 << 5,
} as const;

const tuple = attributes('CTA_TUPLE_', {
  ip: [
    1,
    nest(
      attributes('CTA_IP_', {
        source4: [1, ip],
        destination4: [2, ip],
        source6: [3, ip],
        destination6: [4, ip],
      }),
    ),
  ],
  protocol: [
    2,
    nest(attributes('CTA_PROTO_', { number: [1, u8], sourcePort: [2, be16], destinationPort: [3, be16] })),
  ],
  zone: [3, be16],
});

/** include/uapi/linux/netfilter/nfnetlink_conntrack.h */
const flowMessage = message(
  nfgenmsg,
  attributes('CTA_', {
    original: [1, nest(tuple)], // as the first packet came
    reply: [2, nest(tuple)], // as the answer comes, so its source is where the packet was translated to
    id: [12, be32],
    zone: [18, be16],
    filter: [25, nest(attributes('CTA_FILTER_', { original: [1, u32], reply: [2, u32] }))],
  }),
);

/** Which flows; every member given must agree. */
export interface FlowMatch {
  readonly protocol: keyof typeof protocols;
  /** Where the first packet was sent to, before translation. */
  readonly destination?: Ip;
  readonly port?: number;
  /** Where the answers come from: the container that the flow was translated to. */
  readonly replySource?: Ip;
  /** Anything else, asked of flows for which the above is true. */
  readonly where?: (flow: Flow) => boolean;
}

export interface Flow {
  readonly family: 4 | 6;
  readonly source: Ip | undefined;
  readonly destination: Ip | undefined;
  readonly sourcePort: number | undefined;
  readonly port: number | undefined;
  readonly replySource: Ip | undefined;
  readonly replyPort: number | undefined;
}

/**
 * Forgets flows of one family and returns how many. Only the matching ones: the kernel searches if it can (since
 * 5.8), and every answer is compared here as well. A flow that ends meanwhile is not counted. `nl`: 'netfilter'.
 */
export function deleteFlows(nl: Netlink, family: 4 | 6, match: FlowMatch): number {
  let deleted = 0;
  for (const found of matching(nl, family, match)) {
    try {
      nl.request({
        name: 'IPCTNL_MSG_CT_DELETE',
        type: messageType('conntrack', IPCTNL_MSG_CT_DELETE),
        flags: 0,
        message: flowMessage,
        // The ID makes sure that it is still this flow, not a new one with the same addresses.
        value: {
          family: families[family === 4 ? 'ip' : 'ip6'],
          original: found.original,
          id: found.id,
          zone: found.zone,
        },
      });
      deleted++;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (error.code === 'ENOENT') continue;
      throw new Error(
        `could not delete connection tracking state of ${match.protocol} port ${match.port ?? 'any'}: ${error.message}`,
        { cause: error },
      );
    }
  }
  return deleted;
}

/** The flows themselves. */
export function listFlows(nl: Netlink, family: 4 | 6, match: FlowMatch): Flow[] {
  return matching(nl, family, match).map((found) => flowOf(family, found));
}

function matching(nl: Netlink, family: 4 | 6, match: FlowMatch): Read<typeof flowMessage>[] {
  const { destination, port, replySource } = match;
  // The kernel's comparison of IPv6 addresses in this filter is inverted (seen in 6.18: it returns all flows but the
  // matching ones), so there it searches by protocol and port only.
  const byDestination = family === 4 ? destination : undefined;
  const byReplySource = family === 4 ? replySource : undefined;
  const all = nl.dump({
    name: 'IPCTNL_MSG_CT_GET',
    type: messageType('conntrack', IPCTNL_MSG_CT_GET),
    flags: 0,
    message: flowMessage,
    value: {
      family: families[family === 4 ? 'ip' : 'ip6'],
      original: {
        ip: byDestination && { destination4: byDestination },
        protocol: { number: protocols[match.protocol], destinationPort: port },
      },
      reply: byReplySource && { ip: { source4: byReplySource } },
      filter: {
        original:
          filterFlag.protocol |
          (byDestination ? filterFlag.destination : 0) |
          (port === undefined ? 0 : filterFlag.destinationPort),
        reply: byReplySource ? filterFlag.source : 0,
      },
    },
  });
  return all.filter((found) => {
    const flow = flowOf(family, found);
    return (
      found.original?.protocol?.number === protocols[match.protocol] &&
      (port === undefined || flow.port === port) &&
      (!destination || (flow.destination && equalIp(flow.destination, destination))) &&
      (!replySource || (flow.replySource && equalIp(flow.replySource, replySource))) &&
      (!match.where || match.where(flow))
    );
  });
}

function flowOf(family: 4 | 6, { original, reply }: Read<typeof flowMessage>): Flow {
  return {
    family,
    source: original?.ip?.source4 ?? original?.ip?.source6,
    destination: original?.ip?.destination4 ?? original?.ip?.destination6,
    sourcePort: original?.protocol?.sourcePort,
    port: original?.protocol?.destinationPort,
    replySource: reply?.ip?.source4 ?? reply?.ip?.source6,
    replyPort: reply?.protocol?.sourcePort,
  };
}
