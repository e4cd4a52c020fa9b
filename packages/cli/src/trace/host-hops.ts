/** What the host does with a packet by its rules, settings and routes: each method is a hop, and throws Dropped where the
 *  packet ends. */
import { contains, formatCidr, networkOf } from '@cni-ts/address/cidr';
import { formatIp, type Ip } from '@cni-ts/address/ip';
import { Netlink } from '@cni-ts/netlink/socket';
import type { Link } from '@cni-ts/rtnetlink/link';
import { lookUpPath, type RoutePath } from '@cni-ts/rtnetlink/route-lookup';
import { LegacyBook } from '@cni-ts/rules/legacy-walk';
import { answerTo, type Packet } from '@cni-ts/rules/packet';
import { type Hook, placeText, RuleBook, type RulePlace, type Walk } from '@cni-ts/rules/walk-rules';
import { dropped, type Hop } from './hop.ts';
import type { Holder } from './subject.ts';
import type { Traced, Wire } from './wire.ts';

export class HostHops {
  readonly #traced: Traced;
  readonly #wire: Wire;
  readonly #rules: RuleBook;
  readonly #legacy: LegacyBook;
  readonly #netfilter: Netlink;

  constructor(traced: Traced, wire: Wire) {
    this.#traced = traced;
    this.#wire = wire;
    this.#netfilter = Netlink.open('netfilter');
    const isLocal = (address: Ip) => traced.host.isLocal(address);
    this.#rules = new RuleBook(this.#netfilter, isLocal);
    this.#legacy = new LegacyBook(traced.target.address.family, isLocal);
  }

  close(): void {
    this.#netfilter.close();
  }

  /** Tables of iptables-legacy that nothing here can read. */
  unread(): void {
    const { unread } = this.#legacy;
    if (unread.length === 0) return;
    const tables = unread.join(', ');
    this.#tell(
      'host',
      'note',
      `tables of iptables-legacy (${tables}) cannot be read without iptables-legacy-save`,
    );
  }

  prerouting(packet: Packet): void {
    const { destination, destinationPort } = packet;
    const { dnat } = this.hook('prerouting', packet);
    if (!dnat) return;
    const [now, before] = [
      placeOf(packet.destination, packet.destinationPort),
      placeOf(destination, destinationPort),
    ];
    const whose = this.#traced.holders(packet.destination).find(({ lives }) => lives);
    const name = whose ? `; that is ${whose.name}` : '';
    this.#tell('host', 'fine', `${before} leads to ${now}, by ${placeText(dnat)}${name}`);
    const gone = this.#goneHolder(packet.destination);
    if (gone) this.wrongHolder(packet, dnat);
  }

  #goneHolder(address: Ip): Holder | undefined {
    const holders = this.#traced.holders(address);
    return holders.some(({ lives }) => lives) ? undefined : holders[0];
  }

  /** The port leads to somebody else, or to nobody. */
  wrongHolder(packet: Packet, dnat: RulePlace | undefined): void {
    const { holders, subject } = this.#traced;
    const { destination } = packet;
    if (!packet.translated.destination) {
      throw dropped(
        'host',
        'CNI3032',
        `nothing leads ${placeOf(destination, packet.destinationPort)} to ${subject.name}`,
        'publish the port (portMappings of portmap), or "cnitool repair" where it was published and the rules are gone',
      );
    }
    const gone = this.#goneHolder(destination);
    const living = holders(destination).find(({ lives }) => lives);
    const whose = gone
      ? `of ${gone.name}, whose namespace ${gone.netns} is gone`
      : living
        ? `of ${living.name}`
        : 'which no container that is remembered here has';
    const by = dnat ? `; ${placeText(dnat)} stands ahead` : '';
    throw dropped(
      'host',
      'CNI3031',
      `the port leads to ${placeOf(destination, packet.destinationPort)}, ${whose}${by}`,
      !gone && living
        ? `it lives and has published that port: give one of both another, "cnitool explain ${packet.destinationPort}" tells whose rule it is`
        : 'remove what is left of it: "cnitool gc --stale", or delete that rule',
    );
  }

  /** Routing on the host: whether it forwards, whether it believes the source, and where to. */
  forwards(packet: Packet, tells: boolean): RoutePath {
    const { host } = this.#traced;
    const { family } = packet.destination;
    const input = packet.input?.name ?? '';
    const keys =
      family === 4
        ? ['net/ipv4/ip_forward', `net/ipv4/conf/${input}/forwarding`]
        : ['net/ipv6/conf/all/forwarding'];
    const off = keys.find((key) => host.setting(key) === '0');
    if (off) {
      const key = off.replaceAll('/', '.');
      throw dropped(
        'host',
        'CNI3028',
        `the host does not forward: ${key} is 0`,
        `set it: sysctl -w ${key}=1, and see who has set it to 0 (a file in /etc/sysctl.d)`,
      );
    }
    if (tells) this.#tell('host', 'fine', `the host forwards IPv${family}`);
    if (family === 4) this.#reversePath(packet);
    const path = lookUpPath(host.route, packet.destination);
    if (typeof path === 'string' || path.type === 'other') {
      throw dropped(
        'host',
        'CNI3027',
        `the host has no route to ${formatIp(packet.destination)}`,
        `give it one: ip route add ${formatIp(packet.destination)} via …, or a default route`,
      );
    }
    return path;
  }

  /** Documentation/networking/ip-sysctl.rst: the stricter of both settings counts. */
  #reversePath(packet: Packet): void {
    const { host } = this.#traced;
    const input = packet.input;
    if (!input) return;
    const modes = ['all', input.name].map((of) => Number(host.setting(`net/ipv4/conf/${of}/rp_filter`) ?? 0));
    const mode = Math.max(...modes);
    if (mode === 0) return;
    const back = lookUpPath(host.route, packet.source);
    const known = typeof back !== 'string' && back.type === 'unicast';
    if (known && (mode === 2 || back.link === input.index)) return;
    const there = known ? `goes by ${host.link(back.link)?.name ?? 'another link'}` : 'is not there';
    throw dropped(
      'host',
      'CNI3029',
      `rp_filter of ${input.name} is ${mode}: the route back to ${formatIp(packet.source)} ${there}`,
      known
        ? `let the route back go by ${input.name}, or set net.ipv4.conf.${input.name}.rp_filter=2`
        : `give the host a route to it: "cnitool repair"`,
    );
  }

  /** All rules at one place of the way. */
  hook(hook: Hook, packet: Packet) {
    const native = this.#rules.walk(hook, packet);
    const walked = native.by ? native : both(native, this.#legacy.walk(hook, packet));
    const at = packet.isReply ? 'back' : 'host';
    for (const place of walked.unsure) {
      this.#tell(at, 'note', `${placeText(place)} may decide otherwise: what it asks cannot be told here`);
    }
    if (walked.by) throw this.#refusal(hook, walked.by, packet);
    if (hook === 'forward' && !packet.isReply) this.#tell(at, 'fine', 'FORWARD lets it through');
    return walked;
  }

  #refusal(hook: Hook, by: RulePlace, packet: Packet) {
    const at = packet.isReply ? 'back' : 'host';
    const network = formatCidr(networkOf(this.#wire.own.cidr));
    if (by.rule !== undefined) {
      return dropped(
        at,
        'CNI3022',
        `${placeText(by)} drops it`,
        `see who made that rule; without it, or with one before it that accepts ${network}, the packet goes on`,
      );
    }
    if (hook !== 'forward') return dropped(at, 'CNI3022', `${placeText(by)} drops it`, '');
    const ofIptables = by.chain.endsWith('filter FORWARD');
    const chain = ofIptables && !by.chain.startsWith('legacy') ? 'FORWARD' : by.chain;
    const what = packet.isReply ? `nothing accepts the answer to ${network}` : `nothing accepts ${network}`;
    const cure = ofIptables ? acceptedByIptables(by, network) : acceptedByNft(by, network);
    return dropped(at, 'CNI3021', `${chain} policy DROP, ${what}`, cure);
  }

  /** Whether who is asked can answer: it sees the host's address, or must know the container's network. */
  source(snat: RulePlace | undefined, source: Ip, to: Ip, output: Link, wanted: boolean | undefined): void {
    const shown = formatIp(source);
    if (snat) {
      this.#tell('host', 'fine', `${shown} is masqueraded, by ${placeText(snat)}`);
      return;
    }
    if (this.#isContainer(to, output)) return;
    if (wanted === true) {
      throw dropped(
        'host',
        'CNI3030',
        `nothing masquerades ${shown}, and its network says ipMasq: the answer goes to nobody`,
        'put the rules back: "cnitool repair"',
      );
    }
    const known =
      wanted === false ? 'its network does not ask for it (ipMasq)' : 'it is not known whether it should be';
    this.#tell(
      'host',
      'note',
      `${shown} is not masqueraded, ${known}: who is asked needs a route to ${formatCidr(networkOf(this.#wire.own.cidr))}`,
    );
  }

  /** Who is asked is a container too, which has a route to this one, or gets one by the host. */
  #isContainer(address: Ip, output: Link): boolean {
    if (contains(networkOf(this.#wire.own.cidr), address)) return true;
    return output.kind === 'bridge' || this.#traced.holders(address).length > 0;
  }

  /** The way back, as far as rules decide: the answer is of a connection that is known. */
  answer(packet: Packet): void {
    const answer = answerTo(packet);
    const { host } = this.#traced;
    if (this.#wire.gate.index === answer.output?.index || this.#traced.from) {
      this.hook('forward', answer);
      const back = lookUpPath(host.route, answer.destination);
      if (!this.#traced.from && (typeof back === 'string' || back.link !== this.#wire.gate.index)) {
        throw dropped(
          'back',
          'CNI3027',
          `the host has no route to ${formatIp(answer.destination)} by ${this.#wire.gate.name}`,
          'put it back: "cnitool repair"',
        );
      }
      this.#tell('back', 'fine', 'the answer may come back');
    }
  }

  #tell(at: Hop['at'], state: Hop['state'], text: string): void {
    this.#traced.tell({ at, state, text });
  }
}

function acceptedByIptables({ chain }: RulePlace, network: string): string {
  const program = `${network.includes(':') ? 'ip6tables' : 'iptables'}${chain.startsWith('legacy') ? '-legacy' : ''}`;
  return `put "firewall" into the network's plugins, which accepts each container; or at once: ${program} -I FORWARD -s ${network} -j ACCEPT; ${program} -I FORWARD -d ${network} -j ACCEPT (Docker sets that policy: DOCKER-USER is the chain for your rules there)`;
}

/** What one chain accepts another may drop: it must be accepted there. */
function acceptedByNft({ chain }: RulePlace, network: string): string {
  const family = network.includes(':') ? 'ip6' : 'ip';
  return `accept it where it is dropped: nft insert rule ${chain} ${family} saddr ${network} accept; nft insert rule ${chain} ${family} daddr ${network} accept; and in the configuration of the firewall that made the chain`;
}

/** What the tables of both kinds do, one after the other. */
function both(one: Walk, other: Walk): Walk {
  const unsure = [...one.unsure, ...other.unsure];
  return { ...other, dnat: one.dnat ?? other.dnat, snat: one.snat ?? other.snat, unsure };
}

function placeOf(address: Ip, port: number): string {
  if (port === 0) return formatIp(address);
  return address.family === 4 ? `${formatIp(address)}:${port}` : `[${formatIp(address)}]:${port}`;
}
