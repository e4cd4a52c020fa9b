/**
 * What every plugin must keep, whatever it does: each plugin's test calls this with a few configurations, then adds
 * its own cases.
 */
import { onKernelWrite } from '@cni-ts/libc/fault';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { decodeResult } from '@cni-ts/skeleton/result-version';
import { specVersions } from '@cni-ts/skeleton/spec-version';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Call, call, pluginFolder, succeed } from './call.ts';
import { type Container, type Host, makeHost } from './namespaces.ts';
import { type Snapshot, snapshot } from './snapshot.ts';

/** One configuration to try. */
export interface Case {
  readonly title: string;
  /** The configuration without cniVersion and name. Files it names belong under `host.dir`. */
  config(host: Host): object;
  /** Plugins it delegates to. */
  readonly plugins?: readonly Plugin[];
  /** What the host has already: a link to stand on, a server. */
  prepare?(host: Host): void;
  /** For a plugin in a chain: makes what the plugins before it make, and returns their result. */
  before?(host: Host, container: Container, containerId: string): object;
  /** Why its result has no address: then 0.1.0 and 0.2.0 cannot express it. */
  readonly withoutAddress?: boolean;
  /** Changes that CHECK must find, by name, and what its message must say. */
  readonly tamperings?: Record<string, { by(host: Host, container: Container): void; says: RegExp }>;
  /** CNI_IFNAME, for a plugin that is not about eth0. */
  readonly ifname?: string;
  /** DEL cannot do without the namespace for a reason given here: the interface stays until the namespace goes. */
  readonly staysWithoutPath?: string;
  /** Members of a snapshot that stay changed after a failed ADD, with the reason. */
  readonly keeps?: { readonly members: readonly (keyof Snapshot)[]; readonly because: string };
}

const network = 'conformance';

export function conformance(plugin: Plugin, cases: readonly Case[]): void {
  describe.each(cases)('conformance of $title', (one) => {
    let place: ReturnType<typeof makeHost>;
    let host: Host;
    let base: Omit<Call, 'config'>;
    let config: (version?: string) => object;

    beforeEach(() => {
      place = makeHost();
      host = place.host;
      one.prepare?.(host);
      const path = pluginFolder(host, ...(one.plugins ?? []).map(({ type }) => type));
      base = { path, plugins: one.plugins ?? [], ...(one.ifname ? { ifname: one.ifname } : {}) };
      const own = one.config(host);
      config = (cniVersion = '1.1.0') => ({ cniVersion, name: network, type: plugin.type, ...own });
    });
    afterEach(() => {
      onKernelWrite(undefined);
      place.end();
    });

    /** A container with what stands before this plugin in the chain, and how to call it there. */
    function attach(containerId: string) {
      const container = host.container(containerId);
      const prevResult = one.before?.(host, container, containerId);
      return { container, given: { ...base, container, containerId, ...(prevResult ? { prevResult } : {}) } };
    }

    /** What stays for good (a bridge, empty tables) is there after the first attachment came and went. */
    async function warmUp(): Promise<void> {
      const { given, container } = attach('warmup');
      await succeed(plugin, 'ADD', { ...given, config: config() });
      await succeed(plugin, 'DEL', { ...given, config: config() });
      container.remove();
    }

    const both = (container: Container) => ({
      host: snapshot(undefined, host.dir),
      container: snapshot(container.netns),
    });

    test.each(specVersions)('ADD answers in version %s, and DEL follows', async (version) => {
      const { given, container } = attach('c1');
      const before = both(container);
      const prev = given.prevResult ? { prevResult: { ...given.prevResult, cniVersion: '1.1.0' } } : {};
      const usable = version >= '1.0.0' || !given.prevResult;
      const answer = await call(plugin, 'ADD', {
        ...given,
        ...(usable ? prev : { prevResult: older(given.prevResult ?? {}, version) }),
        config: config(version),
      });
      if (one.withoutAddress && version < '0.3.0') {
        expect(answer.error?.msg).toBe('cannot convert: no valid IP addresses');
        expect(forgiving(both(container), one)).toEqual(forgiving(before, one));
        return;
      }
      expect(answer.status, answer.stdout + answer.stderr).toBe(0);
      const printed = JSON.parse(answer.stdout);
      expect(printed.cniVersion).toBe(version);
      expect(() => decodeResult(version, printed)).not.toThrow();
      await succeed(plugin, 'DEL', { ...given, config: config(version), prevResult: undefined });
    });

    test('CHECK finds nothing wrong right after ADD', async () => {
      const { given } = attach('c1');
      const { result } = await succeed(plugin, 'ADD', { ...given, config: config() });
      const checked = await succeed(plugin, 'CHECK', { ...given, config: config(), prevResult: result });
      expect(checked.stdout).toBe('');
    });

    test.each(Object.entries(one.tamperings ?? {}))('CHECK finds: %s', async (_name, { by, says }) => {
      const { given, container } = attach('c1');
      const { result } = await succeed(plugin, 'ADD', { ...given, config: config() });
      by(host, container);
      const checked = await call(plugin, 'CHECK', { ...given, config: config(), prevResult: result });
      expect(checked.status, 'CHECK passed').toBe(1);
      expect(checked.error?.msg).toMatch(says);
    });

    const dels: [string, (container: Container, given: Omit<Call, 'config'>) => Omit<Call, 'config'>][] = [
      ['as usual', (_, given) => given],
      ['without prevResult', (_, given) => ({ ...given, prevResult: undefined })],
      [
        'after the namespace went away',
        (container, given) => {
          const { path } = container;
          container.remove();
          return { ...given, container: undefined, netns: path };
        },
      ],
      ['with an empty CNI_NETNS', (_, given) => ({ ...given, container: undefined, netns: '' })],
      [
        'after the interface went away',
        (container, given) => {
          if ((one.ifname ?? 'eth0') !== 'lo') container.succeeds(`ip link del ${one.ifname ?? 'eth0'}`);
          return given;
        },
      ],
    ];
    test.each(dels)('DEL %s leaves the host as it was before ADD, and again', async (title, prepare) => {
      await warmUp();
      const before = snapshot(undefined, host.dir);
      const { given, container } = attach('c1');
      const chained = one.before ? snapshot(undefined, host.dir) : before;
      await succeed(plugin, 'ADD', { ...given, config: config() });
      const changed = prepare(container, given);
      await succeed(plugin, 'DEL', { ...changed, config: config() });
      await succeed(plugin, 'DEL', { ...changed, config: config() });
      if (title.includes('CNI_NETNS') && one.staysWithoutPath) container.remove();
      // What the plugins before it made is theirs to remove; with the container gone or its link, so is that.
      const expected = one.before && /went away/.test(title) ? undefined : chained;
      if (expected) await settled(() => expect(snapshot(undefined, host.dir)).toEqual(expected));
    });

    test('DEL without ADD succeeds and changes nothing', async () => {
      await warmUp();
      const { given, container } = attach('c1');
      const before = both(container);
      if ((one.ifname ?? 'eth0') !== 'lo') await succeed(plugin, 'DEL', { ...given, config: config() });
      expect(both(container)).toEqual(before);
    });

    test('an ADD that fails at any of its kernel writes leaves host and container as they were', async () => {
      let writes = 0;
      for (let failing = 1; ; failing++) {
        place.end();
        place = makeHost();
        host = place.host;
        one.prepare?.(host);
        pluginFolder(host, ...(one.plugins ?? []).map(({ type }) => type));
        base = { ...base, path: host.bin };
        const own = one.config(host);
        const { given, container } = attach('c1');
        const before = both(container);
        let what = '';
        let count = 0;
        onKernelWrite((name) => {
          count++;
          if (count === failing) {
            what = name;
            throw new SyscallError(name, 'EIO', 'injected');
          }
        });
        const full = { cniVersion: '1.1.0', name: network, type: plugin.type, ...own };
        const answer = await call(plugin, 'ADD', { ...given, config: full });
        onKernelWrite(undefined);
        if (count < failing) break;
        writes++;
        // A write that may fail without harm (a setting that merely helps) leaves a complete attachment behind.
        if (answer.status === 0) {
          await succeed(plugin, 'CHECK', { ...given, config: full, prevResult: answer.result });
          continue;
        }
        const story = `failed at write ${failing}, ${what}: ${answer.stdout}`;
        await settled(() => expect(forgiving(both(container), one), story).toEqual(forgiving(before, one)));
      }
      expect(writes, 'no kernel write was seen: the fault hook is not in the way').toBeGreaterThan(0);
    });

    test('GC with the attachment in the list leaves it alone', async () => {
      const { given, container } = attach('c1');
      const { result } = await succeed(plugin, 'ADD', { ...given, config: config() });
      const before = both(container);
      const valid = [{ containerID: 'c1', ifname: one.ifname ?? 'eth0' }];
      await succeed(plugin, 'GC', { ...base, config: { ...config(), 'cni.dev/valid-attachments': valid } });
      expect(both(container)).toEqual(before);
      await succeed(plugin, 'CHECK', { ...given, config: config(), prevResult: result });
    });

    test('GC removes from the host what an attachment that is not in the list left there', async () => {
      await warmUp();
      const before = snapshot(undefined, host.dir);
      const { given, container } = attach('lost');
      await succeed(plugin, 'ADD', { ...given, config: config() });
      container.remove();
      await departed(host);
      await succeed(plugin, 'GC', { ...base, config: { ...config(), 'cni.dev/valid-attachments': [] } });
      if (!one.before) await settled(() => expect(snapshot(undefined, host.dir)).toEqual(before));
    });

    test('STATUS of a configuration that works is silent, and VERSION lists every version', async () => {
      expect((await succeed(plugin, 'STATUS', { ...base, config: config() })).stdout).toBe('');
      const { stdout } = await succeed(plugin, 'VERSION', { config: config() });
      expect(JSON.parse(stdout)).toEqual({ cniVersion: '1.1.0', supportedVersions: specVersions });
    });
  });
}

/** Waits until no veth of the host has lost its peer's namespace: the kernel ends one a moment after its last user. */
async function departed(host: Host): Promise<void> {
  const dying = () => host.succeeds("ip -d link show type veth | grep -q 'link-netnsid'");
  for (let patience = 1000; patience > 0 && dying(); patience--)
    await new Promise((done) => setTimeout(done, 20));
}

/** The namespace of a removed container, and its links with it, go a moment after its last user. */
async function settled(assertion: () => void): Promise<void> {
  for (let patience = 120; patience > 0; patience--) {
    try {
      return assertion();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25)); // reason: the last try below tells what is wrong
    }
  }
  assertion();
}

/**
 * Shared nftables tables that hold no rule count as absent: they do nothing, and deleting one would race with another
 * attachment that is just about to use it.
 */
function forgiving<T extends Record<string, Snapshot>>(taken: T, { keeps }: Case): object {
  const without = (one: Snapshot) =>
    Object.fromEntries(
      Object.entries({ ...one, nftables: withRules(one.nftables) }).filter(
        ([member]) => !keeps?.members.includes(member as keyof Snapshot), // reason: entries of a Snapshot
      ),
    );
  return Object.fromEntries(Object.entries(taken).map(([place, one]) => [place, without(one)]));
}

/** The entries of `nft -j list ruleset` that belong to a table with a rule, a map element or an own chain. */
function withRules(listed: unknown): unknown {
  type Entry = Record<
    string,
    { family: string; table?: string; name?: string; elem?: unknown; hook?: string }
  >;
  const entries = listed as Entry[]; // reason: what snapshot made of nft's JSON
  const owner = (entry: Entry) => {
    const [kind, of] = Object.entries(entry)[0] ?? ['', undefined];
    return `${of?.family} ${kind === 'table' ? of?.name : of?.table}`;
  };
  const used = new Set(entries.filter(({ rule, map, set }) => rule || map?.elem || set?.elem).map(owner));
  return entries.filter((entry) => used.has(owner(entry)));
}

/** A prevResult of 1.1.0 as a runtime hands it to an older configuration. */
function older(result: object, version: string): object {
  const full = result as {
    interfaces?: object[];
    ips?: { address: string; gateway?: string }[];
    routes?: object[];
  };
  if (version < '0.3.0') {
    const of = (colon: boolean) => full.ips?.find(({ address }) => address.includes(':') === colon);
    const side = (ip?: { address: string; gateway?: string }) =>
      ip && { ip: ip.address, gateway: ip.gateway };
    return { cniVersion: version, ip4: side(of(false)), ip6: side(of(true)), dns: {} };
  }
  const ips = (full.ips ?? []).map((ip) => ({ ...ip, version: ip.address.includes(':') ? '6' : '4' }));
  return { ...full, cniVersion: version, ips, dns: {} };
}
