/** A network of several plugins, as an operator writes and uses it, and what such a network must do for its users. */
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { flood, observeLimit } from '@cni-ts/testing/traffic';
import { expect } from 'vitest';
import { type Answer, containerIdOf, type Lab, ours } from './lab.ts';

export type Backend = 'iptables' | 'nftables';
export const backends: readonly Backend[] = ['iptables', 'nftables'];

/** Limit of each direction in bits per second, and bits at once. */
const rate = 8_000_000;
const burst = 400_000;

/** Plugins that these chains are made of; host-local stands below bridge and ptp. */
export type Member = keyof ReturnType<Chain['members']>;

/** Chains by backend. Rates take seconds to measure: true where they are, once behind each main plugin. */
export const orders = [
  ['iptables', ['bridge', 'tuning', 'portmap', 'firewall', 'bandwidth'], true],
  ['nftables', ['bridge', 'bandwidth', 'firewall', 'portmap', 'tuning'], false],
  ['iptables', ['ptp', 'firewall', 'bandwidth', 'tuning', 'portmap'], false],
  ['nftables', ['ptp', 'portmap', 'tuning', 'bandwidth', 'firewall'], true],
] as const;

export interface ChainOptions {
  readonly backend: Backend;
  readonly cniVersion?: string;
  /** Containers have an IPv6 address as well. */
  readonly dualStack?: boolean;
  /** CNI_PATH where a call says nothing else. */
  readonly path?: string;
}

export interface RunOptions {
  /** Published for port 80 of the container; without it nothing is. */
  readonly hostPort?: number;
  readonly flags?: readonly string[];
  readonly path?: string;
  /** Leaves members out, as an edited configuration does. */
  readonly without?: readonly Member[];
}

export class Chain {
  readonly lab: Lab;
  readonly name: string;
  readonly net: number;
  readonly #order: readonly Member[];
  readonly #options: ChainOptions;
  readonly #folders = new Map<string, string>();

  /** The network `name` on 10.‹net›.0.0/24, and on fd00:‹net›::/64 where it is to have both. */
  constructor(lab: Lab, name: string, net: number, order: readonly Member[], options: ChainOptions) {
    this.lab = lab;
    this.name = name;
    this.net = net;
    this.#order = order;
    this.#options = options;
  }

  /** The plugins' configurations. Ports and limits come from the runtime. */
  members() {
    const { backend, dualStack = false } = this.#options;
    const { state, networks } = this.lab;
    const both = <T>(four: T, six: T) => (dualStack ? [four, six] : [four]);
    const ranges = both([{ subnet: `10.${this.net}.0.0/24` }], [{ subnet: `fd00:${this.net}::/64` }]);
    const ipam = { type: 'host-local', dataDir: networks, ranges };
    const routed = { ...ipam, routes: both({ dst: '0.0.0.0/0' }, { dst: '::/0' }) };
    const masquerade = { ipMasq: true, ipMasqBackend: backend };
    return {
      bridge: {
        type: 'bridge',
        bridge: this.name,
        isDefaultGateway: true,
        hairpinMode: true,
        ...masquerade,
        ipam,
      },
      ptp: { type: 'ptp', ...masquerade, ipam: routed },
      tuning: {
        type: 'tuning',
        sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' },
        mtu: 1400,
        dataDir: join(state, 'tuning'),
      },
      portmap: { type: 'portmap', backend, capabilities: { portMappings: true } },
      firewall: { type: 'firewall', backend, dataDir: join(state, 'firewall') },
      bandwidth: { type: 'bandwidth', capabilities: { bandwidth: true } },
    };
  }

  /** Runs cnitool with this network; it succeeds. */
  async run(command: string, netns: string, options: RunOptions = {}): Promise<Answer> {
    const { hostPort, flags = [], path = this.#options.path ?? ours, without = [] } = options;
    const limits = { ingressRate: rate, ingressBurst: burst, egressRate: rate, egressBurst: burst };
    const portMappings = hostPort === undefined ? [] : [{ hostPort, containerPort: 80, protocol: 'tcp' }];
    const env = {
      CNI_PATH: path,
      NETCONFPATH: this.#folder(without),
      CAP_ARGS: JSON.stringify({ portMappings, bandwidth: limits }),
    };
    const answer = await this.lab.cnitool([command, this.name, netns, ...flags], env);
    expect(answer.status, `${command}: ${answer.stderr}`).toBe(0);
    return answer;
  }

  #folder(without: readonly Member[]): string {
    const key = [this.name, ...without].join('-without-');
    const known = this.#folders.get(key);
    if (known !== undefined) return known;
    const members = this.members();
    const plugins = this.#order.filter((type) => !without.includes(type)).map((type) => members[type]);
    const made = this.lab.network(this.name, plugins, this.#options.cniVersion, key);
    this.#folders.set(key, made);
    return made;
  }

  /** What stays for good (the bridge, shared chains) is there after one container came and went. */
  async warmUp(options: RunOptions = {}): Promise<void> {
    const first = this.lab.container(`${this.name}-first`);
    await this.run('add', first, { hostPort: 7999, ...options });
    await this.run('del', first, { hostPort: 7999, ...options });
  }

  /** Where the runtime remembers an attachment. */
  cacheFile(netns: string): string {
    return join(this.lab.state, 'cache/results', `${this.name}-${containerIdOf(netns)}-eth0`);
  }
}

/** The container's address as a result has it. */
export function addressIn({ json }: Answer): string {
  const { ips } = json as { ips: { address: string }[] }; // reason: a CNI result of 1.x
  return ips[0]?.address.replace(/\/.*/, '') ?? '';
}

/** Makes the host forward nothing of its own accord, as a firewall does at boot. Returns how to end that. */
export function closeForwarding(lab: Lab, backend: Backend): () => void {
  const [close, open] =
    backend === 'iptables'
      ? ['iptables -P FORWARD DROP', 'iptables -P FORWARD ACCEPT']
      : [
          "nft 'add table ip host; add chain ip host forward { type filter hook forward priority 0; policy drop; }'",
          'nft delete table ip host',
        ];
  lab.sh(close);
  return () => void lab.sh(open);
}

export const reachesOutside = (lab: Lab, netns: string, address = lab.outsideAddress): boolean =>
  lab.inside(netns, `ping -c1 -W1 ${address}`).status === 0;

/** The published port answers wherever it should, and the settings of `tuning` are in force. */
export async function expectReachable(lab: Lab, netns: string, hostPort: number): Promise<void> {
  lab.inside(netns, 'ip link set lo up');
  const text = `hello from ${netns}`;
  await lab.serve(netns, 80, text);
  expect(lab.greeting(lab.world, lab.uplinkAddress, hostPort), 'from outside').toBe(text);
  expect(lab.greeting('', lab.uplinkAddress, hostPort), "from the host, by the uplink's address").toBe(text);
  expect(lab.greeting('', '127.0.0.1', hostPort), 'from the host, by its loopback').toBe(text);
  expect(lab.greeting(netns, lab.uplinkAddress, hostPort), 'from the container itself').toBe(text);
  const seen = lab.inside(netns, 'cat /proc/sys/net/ipv4/conf/eth0/arp_filter; ip link show eth0').stdout;
  expect(seen).toMatch(/^1\n[\s\S]* mtu 1400 /);
}

/** Each direction carries the limit's rate over a second, though twice as much is sent. */
export async function expectLimited(lab: Lab, netns: string, address: string): Promise<void> {
  const [host, inside, world] = [Netns.current(), Netns.open(netns), Netns.open(lab.world)];
  const stops = [flood(host, address, 2 * rate), flood(inside, lab.outsideAddress, 2 * rate)];
  try {
    const seen = await Promise.all([inside, world].map((one) => observeLimit(one, rate, 1)));
    for (const one of seen) expect(one, `of ${rate}`).toMatchObject({ above: [], steady: true });
  } finally {
    for (const stop of stops) stop();
    for (const one of [host, inside, world]) one.close();
  }
}
