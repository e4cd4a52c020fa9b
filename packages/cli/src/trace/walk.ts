/**
 * The way of one packet, hop by hop, from what the kernel has in its tables: nothing is sent, nothing is changed. Where the
 * packet ends, the walk does.
 */
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import type { Link } from '@cni-ts/rtnetlink/link';
import { findNeighbour } from '@cni-ts/rtnetlink/neighbour';
import { lookUpPath } from '@cni-ts/rtnetlink/route-lookup';
import { firstPacket, type Packet } from '@cni-ts/rules/packet';
import { dropped, type Hop } from './hop.ts';
import { HostHops } from './host-hops.ts';
import { type Place, whyDown } from './place.ts';
import { type Traced, type Wire, wireOf } from './wire.ts';

/** Throws Dropped where the packet ends. */
export function walk(traced: Traced): void {
  const wire = wireOf(traced);
  new Walker(traced, wire).run();
}

class Walker {
  readonly #traced: Traced;
  readonly #wire: Wire;
  readonly #host: HostHops;
  /** The smallest MTU so far, and whose. */
  #mtu: { readonly size: number; readonly of: string };

  constructor(traced: Traced, wire: Wire) {
    this.#traced = traced;
    this.#wire = wire;
    this.#host = new HostHops(traced, wire);
    this.#mtu = { size: wire.inner.mtu, of: `${wire.inner.name} in the container` };
  }

  run(): void {
    try {
      this.#host.unread();
      if (this.#traced.from) this.#inward(this.#traced.from);
      else this.#outward();
    } finally {
      this.#host.close();
    }
  }

  #outward(): void {
    const { target, container, subject, host } = this.#traced;
    const { inner, own, gate, master, outer } = this.#wire;
    const path = lookUpPath(container.route, target.address);
    if (typeof path === 'string' || path.type === 'other') {
      throw dropped(
        'container',
        'CNI3023',
        `the container has no route to ${formatIp(target.address)}`,
        `give the network a route: "routes": [{"dst": "${target.address.family === 4 ? '0.0.0.0/0' : '::/0'}"}] in its IPAM, or isDefaultGateway of bridge`,
      );
    }
    if (path.type === 'local') {
      this.#tell(
        'container',
        'fine',
        `${formatIp(target.address)} is the container's own: it goes no further`,
      );
      return;
    }
    const via = path.gateway ?? target.address;
    const link = container.link(path.link);
    if (link && link.index !== inner.index) {
      this.#tell(
        'container',
        'note',
        `the route goes by ${link.name}, not by ${inner.name}: trace it with --ifname ${link.name}`,
      );
      return;
    }
    this.#tell(
      'container',
      'fine',
      `route to ${formatIp(target.address)} ${path.gateway ? `via ${formatIp(path.gateway)}` : 'on the link'}`,
    );
    this.#neighbour('container', container, inner, via);
    if (!outer) {
      this.#tell(
        'host',
        'note',
        `${inner.kind} on ${gate.name}: packets leave by it without the host's routes and rules`,
      );
      return;
    }
    if (path.gateway && !this.#holds(gate, path.gateway)) {
      throw dropped(
        'host',
        'CNI3026',
        `nobody has the gateway's address ${formatIp(path.gateway)} on ${gate.name}`,
        `give it back: ip address add ${formatIp(path.gateway)}/${own.cidr.prefix} dev ${gate.name}, or "cnitool repair"`,
      );
    }
    this.#shrink('container', path.mtu, 'the route in the container');
    const packet = firstPacket({
      ...target,
      source: path.source ?? own.cidr.ip,
      destination: target.address,
      destinationPort: target.port,
    });
    packet.input = gate;
    if (!path.gateway && master && !host.isLocal(target.address)) {
      this.#tell('host', 'fine', `${formatIp(target.address)} is on ${master.name} itself: no routing`);
      // Between two ports of a bridge rules count only where br_netfilter hands packets to them.
      packet.output = gate;
      const key = `net/bridge/bridge-nf-call-ip${target.address.family === 4 ? '' : '6'}tables`;
      if (host.setting(key) === '1') this.#host.hook('forward', packet);
      return;
    }
    this.#through(packet, subject.isMasqueraded);
  }

  /** From outside to the container, by a published port or straight to its address. */
  #inward(from: Ip): void {
    const { target, host, container } = this.#traced;
    const { own, gate, inner } = this.#wire;
    const back = lookUpPath(host.route, from);
    const input = typeof back === 'string' ? undefined : host.link(back.link);
    if (!input) {
      throw dropped(
        'host',
        'CNI3027',
        `the host has no route to ${formatIp(from)}, where the packet would come from`,
        'name an address by --from that this host can reach',
      );
    }
    const packet = firstPacket({
      ...target,
      source: from,
      destination: target.address,
      destinationPort: target.port,
    });
    packet.input = input;
    this.#tell('host', 'fine', `it comes in by ${input.name}`);
    this.#host.prerouting(packet);
    if (!equalIp(packet.destination, own.cidr.ip)) this.#host.wrongHolder(packet, undefined);
    this.#host.forwards(packet, false);
    packet.output = gate;
    this.#host.hook('forward', packet);
    this.#host.hook('postrouting', packet);
    this.#tell('container', 'fine', `it comes in by ${inner.name}`);
    const answer = lookUpPath(container.route, packet.source);
    if (typeof answer === 'string' || answer.type === 'other') {
      throw dropped(
        'back',
        'CNI3023',
        `the container has no route back to ${formatIp(packet.source)}`,
        'give the network a default route (isDefaultGateway of bridge, or routes of its IPAM)',
      );
    }
    this.#host.answer(packet);
  }

  /** By the host: its rules, its routes, and out. */
  #through(packet: Packet, masqueraded: boolean | undefined): void {
    const { host } = this.#traced;
    this.#host.prerouting(packet);
    if (host.isLocal(packet.destination)) {
      this.#host.hook('input', packet);
      this.#tell('host', 'fine', `${formatIp(packet.destination)} is the host's own: it arrives there`);
      return;
    }
    const path = this.#host.forwards(packet, true);
    const output = host.link(path.link);
    if (!output) {
      throw dropped(
        'host',
        'CNI3027',
        `the link of the route to ${formatIp(packet.destination)} is gone`,
        '',
      );
    }
    packet.output = output;
    const down = whyDown(output);
    if (down) {
      throw dropped(
        'host',
        'CNI3024',
        `${down}, and the route to ${formatIp(packet.destination)} leaves by it`,
        `set it up: ip link set ${output.name} up`,
      );
    }
    this.#tell(
      'host',
      'fine',
      `route to ${formatIp(packet.destination)} ${path.gateway ? `via ${formatIp(path.gateway)} ` : ''}dev ${output.name}`,
    );
    this.#host.hook('forward', packet);
    const source = packet.source;
    const forward = { ...packet };
    const walked = this.#host.hook('postrouting', packet);
    this.#host.source(walked.snat, source, packet.destination, output, masqueraded);
    this.#neighbour('host', host, output, path.gateway ?? packet.destination);
    this.#shrink('host', path.mtu || output.mtu, output.name);
    this.#host.answer({ ...forward, translated: packet.translated });
  }

  #holds(gate: Link, address: Ip): boolean {
    return this.#traced.host.addresses(gate).some(({ cidr }) => equalIp(cidr.ip, address))
      ? true
      : this.#traced.host.isLocal(address) && gate.kind === 'veth';
  }

  #neighbour(at: 'container' | 'host', place: Place, link: Link, address: Ip): void {
    const found = findNeighbour(place.route, link, address);
    if (!found?.isSilent) return;
    this.#tell(
      at,
      'note',
      `nobody has answered for ${formatIp(address)} on ${link.name} the last time it was asked`,
    );
  }

  /** A smaller MTU on the way costs a round trip for each connection, and everything where ICMP is dropped. */
  #shrink(at: 'container' | 'host', mtu: number, of: string): void {
    if (mtu === 0 || mtu >= this.#mtu.size) return;
    const before = this.#mtu;
    this.#mtu = { size: mtu, of };
    this.#traced.tell({
      at,
      state: 'warning',
      code: 'CNI3033',
      text: `MTU ${before.size} of ${before.of} shrinks to ${mtu} at ${of}`,
      cure: `give the network "mtu": ${mtu}`,
    });
  }

  #tell(at: Hop['at'], state: Hop['state'], text: string): void {
    this.#traced.tell({ at, state, text });
  }
}
