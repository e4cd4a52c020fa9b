/** IPv6 datagrams of one link, from and to its neighbours. */
import { DatagramSocket } from './datagram-socket.ts';
import { systemBytes } from './system-text.ts';

const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BINDTODEVICE = 25;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_V6ONLY = 26;
const IPPROTO_ICMPV6 = 58;
const ICMPV6_FILTER = 1;

export class Ip6Socket extends DatagramSocket {
  private constructor(type: number, protocol: number) {
    super(AF_INET6, type, protocol);
  }

  /** UDP on that port of the link. Throws SyscallError: EADDRINUSE. */
  static udp(link: string, port: number): Ip6Socket {
    const socket = new Ip6Socket(SOCK_DGRAM, 0);
    return socket.setUp(() => {
      socket.option(SOL_SOCKET, SO_BINDTODEVICE, systemBytes(link, true));
      socket.option(SOL_SOCKET, SO_REUSEADDR, number(1));
      socket.option(IPPROTO_IPV6, IPV6_V6ONLY, number(1));
      socket.bind(address6(new Uint8Array(16), port, 0));
    });
  }

  /** ICMPv6 of one type, as routers and their neighbours send each other: with the highest hop limit there is. */
  static icmp(link: string, type: number): Ip6Socket {
    const socket = new Ip6Socket(SOCK_RAW, IPPROTO_ICMPV6);
    return socket.setUp(() => {
      socket.option(SOL_SOCKET, SO_BINDTODEVICE, systemBytes(link, true));
      socket.option(IPPROTO_IPV6, IPV6_UNICAST_HOPS, number(255));
      socket.option(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, number(255));
      // struct icmp6_filter: a bit for each type that is not let through
      const filter = new Uint8Array(32).fill(0xff);
      filter[type >> 3] = 0xff & ~(1 << (type & 7));
      socket.option(IPPROTO_ICMPV6, ICMPV6_FILTER, filter);
    });
  }

  protected senderIn(address: Uint8Array): Uint8Array {
    return address.subarray(8, 24);
  }

  /** Throws SyscallError: EADDRNOTAVAIL while the link has no address of its own, the first second or two. */
  send(bytes: Uint8Array, to: Uint8Array, port: number, link: number): void {
    this.sendTo(bytes, address6(to, port, link));
  }
}

function number(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer);
}

/** struct sockaddr_in6, include/uapi/linux/in6.h */
function address6(ip: Uint8Array, port: number, link: number): Uint8Array {
  const address = new Uint8Array(28);
  const numbers = new DataView(address.buffer);
  numbers.setUint16(0, AF_INET6, true);
  numbers.setUint16(2, port, false);
  address.set(ip, 8);
  numbers.setUint32(24, link, true);
  return address;
}
