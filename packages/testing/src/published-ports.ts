/** What tests of published ports stand on: a host between the world and its containers, and traffic between them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { type Call, type Command, call, type Answer as Reply, succeed } from './call.ts';
import type { Container, Host } from './namespaces.ts';
import type { Answer, Probe } from './traffic-peer.ts';

export type Backend = 'nftables' | 'iptables';
export const backends = ['nftables', 'iptables'] as const satisfies Backend[];

/** `runtimeConfig.portMappings`, shorter: [host port, container port, protocol, host address]. */
export type Short = readonly [number, number, string?, string?];

export function mappings(...all: readonly Short[]): object {
  return {
    runtimeConfig: {
      portMappings: all.map(([hostPort, containerPort, protocol = 'tcp', hostIP]) => ({
        hostPort,
        containerPort,
        protocol,
        ...(hostIP === undefined ? {} : { hostIP }),
      })),
    },
  };
}

/** The result of the plugin before, as the behaviour's cases have it: 10.254.0.2/24 and 2001:db8::2/64 on eth0. */
export function resultOf(container: Container, addresses = ['10.254.0.2/24', '2001:db8::2/64']): object {
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'hv' }, { name: 'eth0', sandbox: container.path }],
    ips: addresses.map((address) => ({ address, interface: 1 })),
  };
}

/** Without it the host asks for no neighbour until its link-local address is proven unique, a second later. */
const withoutProof = 'sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0';

/** A veth pair between host and container with the n-th address of 10.254.0.0/24 and 2001:db8::/64. */
export function connect(host: Host, container: Container, link = 'hv', n = 2, net = 254): object {
  const [v4, v6] = [`10.${net}.0`, net === 254 ? '2001:db8:' : `2001:db8:${net}:`];
  const first = !host.succeeds(`ip link show br${net}`);
  if (first) {
    host.sh(`${withoutProof}; ip link set lo up; ip link add br${net} type bridge; ip link set br${net} up
      ip address add ${v4}.1/24 dev br${net}; ip address add ${v6}:1/64 dev br${net} nodad
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`);
  }
  const eth = net === 254 ? 'eth0' : 'eth1';
  host.sh(`ip link add ${link} type veth peer name ${eth} netns ${container.path}
    ip link set ${link} up master br${net}; bridge link set dev ${link} hairpin on`);
  container.sh(`${withoutProof}; ip link set lo up; ip link set ${eth} up
    ip address add ${v4}.${n}/24 dev ${eth}; ip address add ${v6}:${n}/64 dev ${eth} nodad
    ip route add default via ${v4}.1 metric ${net === 254 ? 1 : 2}; ip -6 route add default via ${v6}:1 metric ${net === 254 ? 1 : 2}`);
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name: link }, { name: eth, sandbox: container.path }],
    ips: [
      { address: `${v4}.${n}/24`, interface: 1 },
      { address: `${v6}:${n}/64`, interface: 1 },
    ],
  };
}

/** Addresses of the host in the world, and of the world. */
export const hostAddresses = { 4: ['192.168.0.2', '192.168.0.3'], 6: ['2001:db8:a::2', '2001:db8:a::3'] };
export const worldAddresses = { 4: '192.168.0.100', 6: '2001:db8:a::100' };

/** A namespace outside, with the host as its neighbour and as its way to everything. */
export function makeWorld(host: Host): Container {
  const world = host.container('world');
  host.sh(`${withoutProof}; ip link set lo up; ip link add out type veth peer name eth0 netns ${world.path}; ip link set out up
    ${hostAddresses[4].map((one) => `ip address add ${one}/24 dev out`).join('; ')}
    ${hostAddresses[6].map((one) => `ip address add ${one}/64 dev out nodad`).join('; ')}`);
  world.sh(`${withoutProof}; ip link set lo up; ip link set eth0 up; ip address add ${worldAddresses[4]}/24 dev eth0
    ip address add ${worldAddresses[6]}/64 dev eth0 nodad
    ip route add default via ${hostAddresses[4][0]}; ip -6 route add default via ${hostAddresses[6][0]}`);
  return world;
}

/** A process in a namespace that answers on ports with its name and tries others. */
export class Peer {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    this.#lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  }

  static async start(name: string, place: Host | Container, ports: readonly number[] = []): Promise<Peer> {
    const program = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'traffic-peer.ts')];
    const begin = () =>
      spawn(process.execPath, [...program, name, ports.join(',')], { stdio: ['pipe', 'pipe', 'inherit'] });
    const peer = new Peer(name, 'netns' in place ? place.netns.run(begin) : begin());
    await peer.#lines.next();
    return peer;
  }

  /** Who answers to each of these. */
  ask(...probes: Probe[]): Promise<(Answer | null)[]> {
    return this.#request(probes) as Promise<(Answer | null)[]>; // reason: what the peer's program answers
  }

  /** Begins to send a datagram every ten milliseconds and never stops. */
  async stream(probe: Probe): Promise<void> {
    await this.#request({ stream: probe });
  }

  /** Who answered to the stream since the last question. */
  heard(): Promise<string[]> {
    return this.#request({ heard: true }) as Promise<string[]>; // reason: what the peer's program answers
  }

  /** For how many milliseconds at most it could answer nobody, since the last question; watched from the first on. */
  longestPause(): Promise<number> {
    return this.#request({ longestPause: true }) as Promise<number>; // reason: what the peer's program answers
  }

  /** Opens a TCP connection and keeps it; false when that fails. */
  hold(probe: Probe): Promise<boolean> {
    return this.#request({ hold: probe }) as Promise<boolean>; // reason: what the peer's program answers
  }

  /** Says something on the connection that is kept, and what comes back; null when nothing does. */
  echo(text: string): Promise<string | null> {
    return this.#request({ echo: text }) as Promise<string | null>; // reason: what the peer's program answers
  }

  async #request(request: object): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    return JSON.parse((await this.#lines.next()).value ?? '[]');
  }

  async who(probe: Probe): Promise<string | undefined> {
    return (await this.ask(probe))[0]?.name;
  }

  stop(): void {
    this.#child.stdin?.end();
  }
}

/** Calls of a plugin for network `test` and container `c1`, unless said otherwise. */
export function callsOf(
  plugin: Plugin,
  container: Container,
  prevResult: object | null = resultOf(container),
) {
  const given = (own: object, more: Partial<Call> = {}): Call => ({
    config: { cniVersion: '1.1.0', name: 'test', type: plugin.type, ...own },
    container,
    prevResult: prevResult ?? undefined,
    ...more,
  });
  return {
    /** Expects success. */
    ok: (command: Command, own: object, more?: Partial<Call>): Promise<Reply> =>
      succeed(plugin, command, given(own, more)),
    /** The error's text; undefined when there is none. */
    error: async (command: Command, own: object, more?: Partial<Call>): Promise<string | undefined> =>
      (await call(plugin, command, given(own, more))).error?.msg,
    call: (command: Command, own: object, more?: Partial<Call>): Promise<Reply> =>
      call(plugin, command, given(own, more)),
  };
}
