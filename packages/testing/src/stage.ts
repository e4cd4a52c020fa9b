/** Where one check of the conformance suite happens. */
import { existsSync } from 'node:fs';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { writeSysctl } from '@cni-ts/libc/sysctl';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { type Answer, type Call, type Command, pluginFolder, succeed } from './call.ts';
import type { Case } from './case.ts';
import { type Container, type Host, makeHost, type Place } from './namespaces.ts';
import { type Snapshot, snapshot } from './snapshot.ts';

/** How a plugin is called for one attachment; the configuration comes with each call. */
export type Given = Omit<Call, 'config'>;

/** A fresh host with what the case prepares, and the plugin on it. */
export interface Stage {
  readonly plugin: Plugin;
  readonly case: Case;
  readonly host: Host;
  readonly ifname: string;
  /** What calls without a container need. */
  readonly base: Given;
  config(cniVersion?: string): object;
  /** A container with what stands before this plugin in the chain, and how to call it there. */
  attach(containerId: string): { container: Container; given: Given };
  /** Calls the plugin and expects success. */
  succeed(command: Command, given: Given, more?: object): Promise<Answer>;
  /** What stays for good (a bridge, empty tables) is there after the first attachment came and went. */
  warmUp(): Promise<void>;
  look(): Snapshot;
  both(container: Container): { host: Snapshot; container: Snapshot };
  /** Repeats the assertion until it holds: a removed namespace, and its links with it, goes a moment later. */
  settled(assertion: () => void): Promise<void>;
  /** Does something that may remove the container, and if it did waits until the kernel has ended the namespace. */
  ending(container: Container, happens: () => void): Promise<void>;
}

const network = 'conformance';

/** Runs `check` on a stage of its own and takes the stage down, whatever comes of it. `patience` in milliseconds. */
export async function onStage(
  plugin: Plugin,
  one: Case,
  patience: number,
  check: (stage: Stage) => void | Promise<void>,
): Promise<void> {
  const { host, end } = makeHost(takeAddressesAtOnce);
  try {
    await one.prepare?.(host);
    await check(stageOn(host, plugin, one, patience));
  } finally {
    onKernelWrite(undefined);
    try {
      await one.end?.(host);
    } finally {
      end();
    }
  }
}

/** The kernel asks the neighbours whether a new IPv6 address is another's, for up to two seconds, and every ADD with such
 *  an address waits for it. Here it takes the address without asking; what ADD does meanwhile is for a plugin's own
 *  tests, whose namespaces are as the kernel makes them. */
function takeAddressesAtOnce(): void {
  if (!existsSync('/proc/sys/net/ipv6')) return;
  writeSysctl('net/ipv6/conf/default/dad_transmits', '0');
  writeSysctl('net/ipv6/conf/default/router_solicitation_delay', '0');
}

function stageOn(host: Host, plugin: Plugin, one: Case, patience: number): Stage {
  const plugins = one.plugins ?? [];
  const path = pluginFolder(host, ...plugins.map(({ type }) => type));
  const ifname = one.ifname ?? 'eth0';
  const base: Given = { path, plugins, ifname };
  const own = one.config(host);
  const stage: Stage = {
    plugin,
    case: one,
    host,
    ifname,
    base,
    config: (cniVersion = '1.1.0') => ({ cniVersion, name: network, type: plugin.type, ...own }),
    attach(containerId) {
      const container = host.container(containerId);
      one.device?.make(host, containerId);
      const prevResult = one.before?.(host, container, containerId);
      return { container, given: { ...base, container, containerId, ...(prevResult ? { prevResult } : {}) } };
    },
    succeed: (command, given, more) =>
      succeed(plugin, command, {
        ...given,
        config: { ...stage.config(), ...one.runtime?.(given.containerId ?? ''), ...more },
      }),
    async warmUp() {
      const { given, container } = stage.attach('warmup');
      await stage.succeed('ADD', given);
      await stage.succeed('DEL', given);
      await stage.ending(container, container.remove);
    },
    look: () => snapshot(undefined, host.dir),
    both: (container) => ({ host: stage.look(), container: snapshot(container.netns) }),
    async settled(assertion) {
      for (const end = Date.now() + patience; Date.now() < end; await pause(25)) {
        try {
          return assertion();
        } catch {
          // reason: the last try below tells what is wrong
        }
      }
      assertion();
    },
    async ending(container, happens) {
      const veths = (place: Place): { ifindex: number; link_index?: number }[] =>
        JSON.parse(place.sh('ip -j link show type veth').trim() || '[]');
      const ends = existsSync(container.path) ? veths(container).map(({ link_index }) => link_index) : [];
      happens();
      const going = () =>
        !existsSync(container.path) && veths(host).some(({ ifindex }) => ends.includes(ifindex));
      for (const end = Date.now() + 20_000; going() && Date.now() < end; ) await pause(20);
    },
  };
  return stage;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}
