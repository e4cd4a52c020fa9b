import { type Call, type Command, call } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { goPlugins } from '@cni-ts/testing/needs';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { bandwidth } from './bandwidth.ts';

const network = 'cni-plugin-bandwidth-test';
const containerId = 'dummy';
/** Of that network and container; the reference's own test vector. */
const ifb = 'bwpa8eda89404b7';

/** A container's interface as an earlier plugin makes it, and that plugin's result. */
function makePair(container: Container, host: Host, hostName = 'hv', ifname = 'eth0', mtu = 1024) {
  host.sh(
    `ip link add ${hostName} mtu ${mtu} type veth peer name ${ifname} mtu ${mtu} netns ${container.path}`,
  );
  host.sh(`ip link set ${hostName} up`);
  container.sh(`ip link set ${ifname} up`);
  return resultOf([hostName], [container, ifname]);
}

function resultOf(onHost: string[], [container, ifname]: [Container, string]) {
  return {
    cniVersion: '1.0.0',
    interfaces: [
      ...onHost.map((name) => ({ name, mac: '02:00:00:00:00:01' })),
      { name: ifname, mac: '02:00:00:00:00:02', sandbox: container.path },
    ],
    ips: [{ address: '10.1.2.3/24', interface: onHost.length }],
  };
}

/** A literal as it is to stand in the configuration. TypeScript does not know the function yet. */
const rawJson = (JSON as unknown as { rawJSON(text: string): object }).rawJSON;

const slow = { ingressRate: 8000, ingressBurst: 80 };
const slowOut = { egressRate: 8000, egressBurst: 80 };
const ofBurst = (burst: number) => ({
  ingressRate: 10_000_000,
  ingressBurst: burst,
  egressRate: 10_000_000,
  egressBurst: burst,
});
const both = { ...slow, egressRate: 16_000_000, egressBurst: 8_000_000 };

/** One attachment, with `call` and its shorter forms. */
function trial(host: Host, container: Container) {
  const prevResult = makePair(container, host);
  const run = (command: Command, own: object, more: Partial<Call> = {}) =>
    call(bandwidth, command, {
      config: { cniVersion: '1.0.0', name: network, type: 'bandwidth', ...own },
      container,
      containerId,
      prevResult,
      ...more,
    });
  return {
    prevResult,
    run,
    async ok(command: Command, own: object, more: Partial<Call> = {}) {
      const answer = await run(command, own, more);
      expect(answer.status, answer.stdout + answer.stderr).toBe(0);
      return answer;
    },
    /** `msg: details` */
    async failure(command: Command, own: object, more: Partial<Call> = {}) {
      const { error } = await run(command, own, more);
      return error && `${error.code} ${error.msg}${error.details ? `: ${error.details}` : ''}`;
    },
  };
}

interface Shown {
  readonly kind: string;
  readonly handle: string;
  readonly root?: boolean;
  readonly options: Record<string, number>;
}
/** Qdiscs of a link, without the kernel's own. */
const qdiscs = (host: Host, link: string): Shown[] =>
  JSON.parse(host.sh(`tc -j qdisc show dev ${link}`)).filter(({ kind }: Shown) => kind !== 'noqueue');
const kinds = (host: Host, link: string) => qdiscs(host, link).map(({ kind }) => kind);
const bucket = (host: Host, link: string) => qdiscs(host, link).find(({ kind }) => kind === 'tbf')?.options;
const filters = (host: Host, link = 'hv') => host.sh(`tc filter show dev ${link} parent ffff:`);
const links = (host: Host): string[] =>
  JSON.parse(host.sh('ip -j link')).map(({ ifname }: { ifname: string }) => ifname);

conformance(bandwidth, [
  {
    title: 'bandwidth: both directions',
    config: () => both,
    before: (host, container, id) => makePair(container, host, `h${id}`),
    tamperings: {
      'no bucket for what it receives': {
        by: (host) => host.sh('tc qdisc del dev hc1 root'),
        says: /^Failed to find qdisc$/,
      },
      'another bucket': {
        by: (host) => host.sh('tc qdisc change dev hc1 root handle 1: tbf rate 9kbit burst 10 limit 35'),
        says: /^Rate doesn't match$/,
      },
      'another qdisc': {
        by: (host) => host.sh('tc qdisc replace dev hc1 root handle 2: pfifo'),
        says: /^Failed to find qdisc$/,
      },
      'no bucket for what it sends': {
        by: (host) => host.sh('tc qdisc del dev $(ip -br link | grep -o ^bwp[0-9a-f]*) root'),
        says: /^Failed to find qdisc$/,
      },
      'ifb down': {
        by: (host) => host.sh('ip link set $(ip -br link | grep -o ^bwp[0-9a-f]*) down'),
        says: /^ifb device is down$/,
      },
      'no filter': {
        by: (host) => host.sh('tc filter del dev hc1 parent ffff:'),
        says: /^Failed to find filter$/,
      },
      'no ingress qdisc': {
        by: (host) => host.sh('tc qdisc del dev hc1 ingress'),
        says: /^Failed to find ingress qdisc$/,
      },
      'no ifb': {
        by: (host) => host.sh('ip link del $(ip -br link | grep -o ^bwp[0-9a-f]*)'),
        says: /^get ifb device: Link not found$/,
      },
    },
  },
  {
    title: 'bandwidth: of a second interface, as the runtime asks',
    config: () => ({ runtimeConfig: { bandwidth: both } }),
    before: (host, container, id) => makePair(container, host, `h${id}`, 'net1'),
    ifname: 'net1',
  },
]);

describe('ADD', () => {
  test('limits both directions, and lists the ifb (bandwidth 1)', async ({ host, container }) => {
    const t = trial(host, container);
    const own = { ingressRate: 8, ingressBurst: 8, egressRate: 16, egressBurst: 8 };
    const { result, stderr } = await t.ok('ADD', own);
    const [link] = JSON.parse(host.sh(`ip -j -d link show ${ifb}`));
    expect(result?.interfaces).toEqual([...t.prevResult.interfaces, { name: ifb, mac: link.address }]);
    expect(link).toMatchObject({ mtu: 1024, linkinfo: { info_kind: 'ifb' } });
    expect(link.flags).toContain('UP');
    expect(link.txqlen ?? 0).toBe(0);
    expect(kinds(host, ifb)).toEqual(['tbf']);
    expect(bucket(host, ifb)).toMatchObject({ rate: 2, burst: 1 });
    expect(kinds(host, 'hv')).toEqual(['tbf', 'ingress']);
    expect(bucket(host, 'hv')).toMatchObject({ rate: 1, burst: 1 });
    const shown = filters(host);
    expect(shown.match(/match 00000000\/00000000 at 0/g)).toHaveLength(1);
    expect(shown).toMatch(new RegExp(`action order 1: mirred \\(Egress Redirect to device ${ifb}\\) stolen`));
    expect(stderr).toMatch(/ingressBurst of 8 bits is less than a packet of hv's MTU/);
  });

  test('may be told by the runtime, however that is spelled (bandwidth 2)', async ({ host, container }) => {
    const t = trial(host, container);
    for (const key of ['bandwidth', 'bandWidth']) {
      await t.ok('ADD', { runtimeConfig: { [key]: both } });
      expect(kinds(host, 'hv'), key).toEqual(['tbf', 'ingress']);
      expect(bucket(host, ifb)).toMatchObject({ rate: 2_000_000, burst: 1_000_000 });
      await t.ok('DEL', { runtimeConfig: { [key]: both } });
    }
  });

  test('may limit only what the container sends (bandwidth 3)', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', slowOut);
    expect(kinds(host, 'hv')).toEqual(['ingress']);
    expect(bucket(host, ifb)).toMatchObject({ rate: 1000, burst: 10 });
    await t.ok('CHECK', slowOut);
  });

  test('may limit only what it receives (bandwidth 4)', async ({ host, container }) => {
    const t = trial(host, container);
    const { result } = await t.ok('ADD', slow);
    expect(result).toEqual(t.prevResult);
    expect(kinds(host, 'hv')).toEqual(['tbf']);
    // 35 bytes of limit, of which 10 are the burst: 25 ms at this rate. tc shows the buffer as the burst.
    expect(bucket(host, 'hv')).toEqual({ rate: 1000, burst: 10, lat: 25_000 });
    expect(links(host)).not.toContain(ifb);
    await t.ok('CHECK', slow);
  });

  test('needs a rate with a burst (bandwidth 5)', async ({ host, container }) => {
    const t = trial(host, container);
    const before = snapshot();
    for (const command of ['ADD', 'CHECK'] as const) {
      expect(await t.failure(command, { ingressRate: 0, ingressBurst: 123 })).toBe(
        '999 if burst is set, rate must also be set: ingressRate: missing or 0',
      );
    }
    expect(snapshot()).toEqual(before);
  });

  test('needs a burst with a rate (bandwidth 6)', async ({ host, container }) => {
    const t = trial(host, container);
    expect(await t.failure('ADD', { egressRate: 9, egressBurst: 0 })).toBe(
      '999 if rate is set, burst must also be set: egressBurst: missing or 0',
    );
    expect(await t.failure('ADD', { runtimeConfig: { bandwidth: { egressRate: 9 } } })).toBe(
      '999 if rate is set, burst must also be set: runtimeConfig.bandwidth.egressBurst: missing or 0',
    );
  });

  test("takes the network's limits before the runtime's, good or bad (bandwidth 7)", async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    expect(await t.failure('ADD', { ingressBurst: 123, runtimeConfig: { bandwidth: both } })).toMatch(
      /^999 if burst is set, rate must also be set/,
    );
  });

  test('takes zero and null of the network for no limit (bandwidth 8)', async ({ host, container }) => {
    const t = trial(host, container);
    const zeros = { ingressRate: 0, ingressBurst: 0, egressRate: 0, egressBurst: 0 };
    for (const own of [zeros, { ingressRate: null }, { INGRESSRATE: null }]) {
      const { result } = await t.ok('ADD', { ...own, runtimeConfig: { bandwidth: both } });
      expect(result).toEqual(t.prevResult);
      expect(kinds(host, 'hv')).toEqual([]);
    }
    await t.ok('ADD', { runtimeConfig: { bandwidth: { ...slow, egressRate: null } } });
    expect(kinds(host, 'hv')).toEqual(['tbf']);
  });

  test('without limits passes the result on (bandwidth 9)', async ({ host, container }) => {
    const t = trial(host, container);
    expect((await t.ok('ADD', {})).result).toEqual(t.prevResult);
    expect(await t.failure('ADD', {}, { prevResult: undefined })).toBe(
      '999 must be called as chained plugin',
    );
    expect(kinds(host, 'hv')).toEqual([]);
  });

  test('takes bursts below 4 GB (bandwidth 10)', async ({ host, container }) => {
    const t = trial(host, container);
    const [most, more] = [34_359_738_359, 34_359_738_360];
    await t.ok('ADD', { ingressRate: 80_000, ingressBurst: most });
    await t.ok('CHECK', { ingressRate: 80_000, ingressBurst: most });
    for (const command of ['ADD', 'CHECK'] as const) {
      expect(await t.failure(command, { egressRate: 80_000, egressBurst: more })).toBe(
        `999 burst cannot be more than 4GB: egressBurst: ${more} bits, at most ${most}`,
      );
    }
    // DEL removes what is there, whatever the configuration says.
    await t.ok('DEL', { egressRate: 80_000, egressBurst: more });
    expect(kinds(host, 'hv')).toEqual([]);
  });

  test('refuses what is no whole number in digits, and names the field (bandwidth 11)', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    const expected = 'expected a whole number from 0 to 18446744073709551615, written in digits';
    for (const [literal, found] of [
      ['-1', '-1'],
      ['1.5', '1.5'],
      ['1e3', '1000'],
      ['"8"', 'the string "8"'],
      ['18446744073709551616', '18446744073709551616'],
      ['true', 'true'],
    ]) {
      const ingressRate = rawJson(literal as string);
      expect(await t.failure('ADD', { ingressRate, ingressBurst: 8 })).toBe(
        `7 failed to parse network configuration: ingressRate: ${expected}, got ${found}`,
      );
      expect(await t.failure('ADD', { runtimeConfig: { bandwidth: { egressBurst: ingressRate } } })).toBe(
        `7 failed to parse network configuration: runtimeConfig.bandwidth.egressBurst: ${expected}, got ${found}`,
      );
    }
  });

  test('refuses less than a byte, before anything is made (bandwidth 12)', async ({ host, container }) => {
    const t = trial(host, container);
    const before = snapshot();
    const bad = [
      [7, 80],
      [8, 7],
      [rawJson('18446744073709551615'), 8],
    ];
    for (const [rate, burst] of bad) {
      expect(await t.failure('ADD', { ingressRate: rate, ingressBurst: burst })).toMatch(
        /^999 create qdisc: invalid argument: \d+ bits per second with a burst of \d+ bits is nothing/,
      );
      expect(await t.failure('ADD', { ...slow, egressRate: rate, egressBurst: burst })).toMatch(
        /^999 create ifb qdisc: create qdisc: invalid argument/,
      );
    }
    expect(snapshot()).toEqual(before);
  });

  test('gives a burst of many minutes all its bytes (bandwidth 13)', async ({ host, container }) => {
    const t = trial(host, container);
    const own = { ingressRate: 1_000_000, ingressBurst: 2_147_483_647 };
    await t.ok('ADD', own);
    // tc knows the low 32 bits of the time only: 3489660803 ticks, and so the limit's latency looks long.
    expect(bucket(host, 'hv')).toMatchObject({ rate: 125_000, burst: 27_917_286 });
    await t.ok('CHECK', own);
  });

  test('knows rates beyond 32 bits, and beyond 53 (bandwidth 14)', async ({ host, container }) => {
    const t = trial(host, container);
    const own = { ingressRate: 80_000_000_000, ingressBurst: 34_359_738_359 };
    await t.ok('ADD', own);
    expect(bucket(host, 'hv')).toMatchObject({ rate: 10_000_000_000 });
    await t.ok('CHECK', own);
    await t.ok('DEL', own);
    const huge = { ingressRate: rawJson('9007199254740993000'), ingressBurst: 34_359_738_359 };
    await t.ok('ADD', huge);
    expect(host.sh('tc -j qdisc show dev hv')).toContain('"rate":1125899906842624125');
    await t.ok('CHECK', huge);
  });

  test('stands behind another plugin (bandwidth 15)', async ({ host, container }) => {
    const t = trial(host, container);
    expect(await t.failure('ADD', slow, { prevResult: undefined })).toBe(
      '999 must be called as chained plugin',
    );
    expect(await t.failure('CHECK', slow, { prevResult: undefined })).toBe(
      '999 must be called as a chained plugin',
    );
  });

  test('needs interfaces to limit (bandwidth 16)', async ({ host, container }) => {
    const t = trial(host, container);
    const prevResult = { ...t.prevResult, interfaces: [], ips: [] };
    expect(await t.failure('ADD', slow, { prevResult })).toBe('999 no interfaces provided');
    expect(await t.failure('CHECK', {}, { prevResult })).toBe('999 no interfaces provided');
  });

  test('needs the interface it is told (bandwidth 17)', async ({ host, container }) => {
    const t = trial(host, container);
    expect(await t.failure('ADD', slow, { ifname: 'eth9' })).toBe(
      '999 container interface eth9 has no veth peer: could not look up "eth9": Link not found',
    );
  });

  test('needs a veth (bandwidth 18)', async ({ host, container }) => {
    const t = trial(host, container);
    container.sh('ip link add mv0 link eth0 type macvlan');
    for (const ifname of ['mv0', 'lo']) {
      expect(await t.failure('ADD', slow, { ifname })).toBe(
        `999 container interface ${ifname} has no veth peer: interface "${ifname}" was not a veth interface`,
      );
    }
  });

  test("limits no link that the result does not list as the host's (bandwidth 19)", async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    const [first, ...rest] = t.prevResult.interfaces;
    for (const one of [
      { ...first, name: 'other' },
      { ...first, sandbox: container.path },
    ]) {
      const prevResult = { ...t.prevResult, interfaces: [one, ...rest] };
      expect(await t.failure('ADD', slow, { prevResult })).toBe(
        '999 no veth peer of container interface found in host ns',
      );
    }
    expect(kinds(host, 'hv')).toEqual([]);
  });

  test('does not look for a peer in a third namespace (bandwidth 20)', async ({ host, container }) => {
    const t = trial(host, container);
    const elsewhere = host.container('elsewhere');
    container.sh(`ip link add net1 type veth peer name hv netns ${elsewhere.path}`);
    expect(await t.failure('ADD', slow, { ifname: 'net1' })).toMatch(
      /^999 veth peer with index \d+ is not in host ns$/,
    );
    expect(kinds(host, 'hv')).toEqual([]);
  });

  test('limits the true peer among many links (bandwidth 21)', async ({ host, container }) => {
    const t = trial(host, container);
    host.sh('ip link add u0 type veth peer name u1');
    const prevResult = resultOf(['u0', 'u1', 'hv'], [container, 'eth0']);
    const { result } = await t.ok('ADD', both, { prevResult });
    expect(result?.interfaces?.map(({ name }) => name)).toEqual(['u0', 'u1', 'hv', 'eth0', ifb]);
    expect([kinds(host, 'u0'), kinds(host, 'u1')]).toEqual([[], []]);
    expect(kinds(host, 'hv')).toEqual(['tbf', 'ingress']);
    host.sh('tc qdisc add dev u0 root handle 1: tbf rate 1mbit burst 10kb limit 10kb');
    await t.ok('DEL', both, { prevResult });
    expect([kinds(host, 'u0'), kinds(host, 'hv')]).toEqual([['tbf'], []]);
  });

  test('needs the namespace (bandwidth 22)', async ({ host, container }) => {
    const t = trial(host, container);
    const netns = '/nonexistent/ns';
    for (const command of ['ADD', 'CHECK'] as const) {
      expect(await t.failure(command, slow, { container: undefined, netns })).toMatch(
        `999 failed to open netns "${netns}": failed to Statfs "${netns}": no such file or directory`,
      );
    }
  });

  test('a second time fails and leaves the first as it was (bandwidth 23)', async ({ host, container }) => {
    const t = trial(host, container);
    for (const [own, text] of [
      [both, /^999 create qdisc: file exists/],
      [slowOut, /^999 adding link: file exists/],
    ] as const) {
      await t.ok('ADD', own);
      const before = snapshot();
      expect(await t.failure('ADD', own)).toMatch(text);
      expect(snapshot()).toEqual(before);
      await t.ok('DEL', own);
    }
  });

  test("leaves nothing where the ifb's name is taken (bandwidth 24)", async ({ host, container }) => {
    const t = trial(host, container);
    host.sh(`ip link add ${ifb} type veth peer name x`);
    const before = snapshot();
    expect(await t.failure('ADD', both)).toMatch(/^999 adding link: file exists/);
    expect(snapshot()).toEqual(before);
    // And DEL deletes no link of another kind.
    await t.ok('DEL', both);
    expect(snapshot()).toEqual(before);
  });

  test('leaves nothing where there is an ingress qdisc already (bandwidth 25)', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    host.sh('tc qdisc add dev hv ingress');
    const before = snapshot();
    expect(await t.failure('ADD', both)).toMatch(/^999 create ingress qdisc: file exists/);
    expect(snapshot()).toEqual(before);
    await t.ok('DEL', both);
    expect(snapshot()).toEqual(before);
  });

  test('gives two interfaces of a container limits of their own', async ({ host, container }) => {
    const t = trial(host, container);
    const second = { ifname: 'net1', prevResult: makePair(container, host, 'hv1', 'net1') };
    await t.ok('ADD', both);
    const one = snapshot();
    const { result } = await t.ok('ADD', both, second);
    expect(links(host).filter((name) => name.startsWith('bwp'))).toHaveLength(2);
    await t.ok('CHECK', both, second);
    await t.ok('DEL', both, { ...second, prevResult: result });
    expect(snapshot()).toEqual(one);
    await t.ok('CHECK', both);
  });
});

/** Of network `net1` and container `1abc` the reference makes the same name as of `net11` and `abc`. */
describe('attachments whose names run together', () => {
  const ids = [
    { name: 'net1', containerId: '1abc', hostName: 'hv1' },
    { name: 'net11', containerId: 'abc', hostName: 'hv11' },
  ] as const;

  function two(host: Host) {
    return ids.map(({ name, containerId: id, hostName }) => {
      const container = host.container(id);
      const prevResult = makePair(container, host, hostName);
      const own = { cniVersion: '1.1.0', name, type: 'bandwidth', ...both };
      const ask = async (command: Command, more: object = {}, given: Partial<Call> = {}) => {
        const config = { ...own, ...more };
        const answer = await call(bandwidth, command, {
          config,
          container,
          containerId: id,
          prevResult,
          ...given,
        });
        expect(answer.status, answer.stdout + answer.stderr).toBe(0);
        return answer;
      };
      return { ask, container, prevResult, own, id };
    }) as Two[] as [Two, Two]; // reason: one of each id
  }
  interface Two {
    ask(command: Command, more?: object, given?: Partial<Call>): Promise<{ result: object | undefined }>;
    readonly container: Container;
    readonly prevResult: object;
    readonly own: object;
    readonly id: string;
  }
  const ifbs = (host: Host) => links(host).filter((name) => name.startsWith('bwp'));

  test('have an ifb each, and each goes with its own', async ({ host }) => {
    const [one, other] = two(host);
    const results = [await one.ask('ADD'), await other.ask('ADD')];
    expect(ifbs(host)).toHaveLength(2);
    for (const [i, each] of [one, other].entries()) {
      await each.ask('CHECK', {}, { prevResult: results[i]?.result });
    }
    await one.ask('GC', { 'cni.dev/valid-attachments': [] }, { container: undefined });
    expect(ifbs(host)).toHaveLength(1);
    await other.ask('CHECK');
    await one.ask('ADD');
    await other.ask('DEL');
    await one.ask('CHECK');
    // Also where nothing but the name is left to find it.
    await other.ask('ADD');
    await one.ask('DEL', {}, { container: undefined, prevResult: undefined });
    await other.ask('CHECK');
    await other.ask('DEL', {}, { container: undefined, prevResult: undefined });
    expect(ifbs(host)).toEqual([]);
  });

  test('a second ADD is refused under the other name too', async ({ host }) => {
    const [one, other] = two(host);
    await one.ask('ADD');
    await other.ask('ADD');
    const before = snapshot();
    const { ingressRate: _, ingressBurst: __, ...config } = { ...other.own, ...both };
    const { container, prevResult, id } = other;
    const again = await call(bandwidth, 'ADD', { config, container, containerId: id, prevResult });
    expect(again.error?.msg).toBe('adding link: file exists');
    expect(snapshot()).toEqual(before);
  });

  test.skipIf(!goPlugins())("one that the reference made is the other's", async ({ host }) => {
    const [one, other] = two(host);
    const config = JSON.stringify({ ...one.own, cniVersion: '1.0.0', prevResult: one.prevResult });
    const env = `CNI_CONTAINERID=${one.id} CNI_NETNS=${one.container.path} CNI_IFNAME=eth0 CNI_PATH=/nonexistent`;
    host.sh(`CNI_COMMAND=ADD ${env} ${goPlugins()}/bandwidth <<'E'\n${config}\nE`);
    const [theirs] = ifbs(host);
    await other.ask('DEL');
    await other.ask('ADD');
    await other.ask('CHECK');
    await one.ask('CHECK');
    await other.ask('DEL');
    expect(ifbs(host)).toEqual([theirs]);
    await one.ask('CHECK');
    await one.ask('DEL');
    expect(ifbs(host)).toEqual([]);
  });
});

describe('marks of earlier releases', () => {
  test('are known by CHECK, DEL and GC', async ({ host, container }) => {
    const { ownerComment } = await import('@cni-ts/skeleton/owner-comment');
    const t = trial(host, container);
    const before = snapshot();
    const mark = () =>
      host.sh(`ip link set ${ifb} alias '${ownerComment({ network, containerId, ifname: 'eth0' })}'`);
    await t.ok('ADD', both);
    expect(host.sh(`ip link show ${ifb}`)).toContain(
      `alias cni:1 net=${network} id=${containerId} if=eth0 plugin=bandwidth`,
    );
    mark();
    await t.ok('CHECK', both);
    await t.ok('DEL', both, { container: undefined, prevResult: undefined });
    expect(snapshot()).toEqual(before);
    await t.ok('ADD', both);
    mark();
    const newest = {
      cniVersion: '1.1.0',
      'cni.dev/valid-attachments': [{ containerID: containerId, ifname: 'eth0' }],
    };
    await t.ok('GC', newest);
    await t.ok('CHECK', both);
    await t.ok('GC', { ...newest, 'cni.dev/valid-attachments': [] });
    expect(snapshot()).toEqual(before);
  });
});

describe('CHECK', () => {
  test('finds another rate and another burst, and tells all of it (bandwidth 26)', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    await t.ok('ADD', both);
    await t.ok('CHECK', both);
    expect(await t.failure('CHECK', { ...both, ingressRate: 16_000 })).toBe(
      "999 Rate doesn't match: rate of hv is 1000 bytes/s, should be 2000; limit of hv is 35 bytes, should be 60; " +
        'buffer of hv is 156250 ticks, should be 78125',
    );
    expect(await t.failure('CHECK', { ...both, ingressBurst: 160 })).toMatch(/^999 Limit doesn't match: /);
    expect(await t.failure('CHECK', { ...both, egressRate: 8_000_000 })).toMatch(
      new RegExp(`^999 Rate doesn't match: rate of ${ifb} is 2000000 bytes/s, should be 1000000; `),
    );
  });

  test('finds that the ifb is gone (bandwidth 27)', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', both);
    host.sh(`ip link del ${ifb}`);
    expect(await t.failure('CHECK', both)).toBe(
      `999 get ifb device: Link not found: the link ${ifb} is gone`,
    );
  });

  test('finds that the limit is gone (bandwidth 28)', async ({ host, container }) => {
    const t = trial(host, container);
    await t.ok('ADD', both);
    host.sh('tc qdisc del dev hv root');
    const text = '999 Failed to find qdisc: hv is not limited: ';
    expect(await t.failure('CHECK', both)).toBe(`${text}it has no root qdisc, should be tbf`);
    host.sh('tc qdisc add dev hv root htb');
    expect(await t.failure('CHECK', both)).toBe(`${text}its root qdisc is htb, should be tbf`);
  });

  test('finds another buffer (bandwidth 29)', async ({ host, container }) => {
    const t = trial(host, container);
    const own = { ingressRate: 16_000_000, ingressBurst: 8_000_000 };
    await t.ok('ADD', own);
    host.sh('tc qdisc replace dev hv root handle 1: tbf rate 16mbit burst 900000 limit 1050000');
    expect(await t.failure('CHECK', own)).toMatch(/^999 Buffer doesn't match: buffer of hv is \d+ ticks/);
  });
});

/** Calls the Go plugin; its output. */
function callTheirs(host: Host, container: Container, command: string, ifname: string, own: object): string {
  const config = JSON.stringify({ cniVersion: '1.0.0', name: network, type: 'bandwidth', ...own });
  const env = `CNI_CONTAINERID=${containerId} CNI_NETNS=${container.path} CNI_IFNAME=${ifname} CNI_PATH=/nonexistent`;
  return host.sh(`CNI_COMMAND=${command} ${env} ${goPlugins()}/bandwidth <<'E'\n${config}\nE`);
}

describe('DEL', () => {
  test('frees the host end for another ADD, with whatever it is left to find it (bandwidth 30)', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    const before = snapshot();
    const without: Record<string, Partial<Call>> = {
      nothing: {},
      path: { container: undefined },
      result: { prevResult: undefined },
      'a good result': { prevResult: { cniVersion: '7' } },
      'path and result': { container: undefined, prevResult: undefined },
    };
    for (const [what, more] of Object.entries(without)) {
      await t.ok('ADD', both);
      await t.ok('DEL', both, more);
      expect(snapshot(), `without ${what}`).toEqual(before);
      await t.ok('DEL', both, more);
      await t.ok('DEL', both, { container: undefined, prevResult: undefined });
    }
    expect(snapshot()).toEqual(before);
  });

  test('finds the bucket alone by the name that our plugins give the host end', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    await t.ok('ADD', slow);
    const lost = { container: undefined, prevResult: undefined };
    await t.ok('DEL', slow, lost);
    expect(kinds(host, 'hv'), 'who knows whose it is').toEqual(['tbf']);
    const { hostLinkName } = await import('@cni-ts/resource/link-name');
    const name = hostLinkName('veth', network, containerId, 'eth0');
    host.sh(`ip link set hv down name ${name}`);
    await t.ok('DEL', slow, lost);
    expect(kinds(host, name)).toEqual([]);
  });

  test('does not depend on a valid configuration (bandwidth 31)', async ({ host, container }) => {
    const t = trial(host, container);
    const before = snapshot();
    for (const bad of [{ ingressRate: 9 }, { egressBurst: 'much' }]) {
      await t.ok('ADD', both);
      await t.ok('DEL', bad);
      expect(snapshot()).toEqual(before);
    }
  });

  test('removes what ADD made although the configuration has no limits any more', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    const before = snapshot();
    for (const less of [{}, slowOut, slow]) {
      await t.ok('ADD', both);
      await t.ok('DEL', less);
      expect(snapshot()).toEqual(before);
    }
  });

  test("spares another's qdiscs", async ({ host, container }) => {
    const t = trial(host, container);
    host.sh(
      'tc qdisc add dev hv root handle 7: tbf rate 1mbit burst 10kb limit 10kb; tc qdisc add dev hv clsact',
    );
    const before = snapshot();
    await t.ok('DEL', both);
    expect(snapshot()).toEqual(before);
  });

  test.skipIf(!goPlugins()).for([
    ['limits', both],
    ['a burst over 32 bits of ticks', { ...both, ingressRate: 1_000_000, ingressBurst: 2_147_483_647 }],
    ["CRI-O's burst", ofBurst(34_359_738_359)],
    ['a burst of 32 bits', ofBurst(4_294_967_295)],
    ['a burst of 31 bits', ofBurst(2_147_483_647)],
  ] as const)(
    "takes back %s that the reference's plugin made, and it what ours made",
    async ([, limits], { host, container }) => {
      const t = trial(host, container);
      const before = snapshot();
      const theirs = (command: string, prevResult: object = t.prevResult) =>
        callTheirs(host, container, command, 'eth0', { ...limits, prevResult });
      const made = JSON.parse(theirs('ADD'));
      await t.ok('CHECK', limits, { prevResult: made });
      await t.ok('DEL', limits, { prevResult: made });
      expect(snapshot()).toEqual(before);
      const { result } = await t.ok('ADD', limits);
      theirs('CHECK', result);
      theirs('DEL', result);
      expect(links(host)).not.toContain(ifb);
      // Theirs leaves the bucket, and a redirection to nowhere: ours takes both.
      expect(kinds(host, 'hv').filter((kind) => kind !== 'bfifo')).toEqual(['tbf', 'ingress']);
      await t.ok('DEL', limits);
      expect(snapshot()).toEqual(before);
    },
  );

  test.skipIf(!goPlugins())(
    "knows the ifb that the reference made for another interface than eth0, and spares eth0's",
    async ({ host, container }) => {
      const t = trial(host, container);
      const second = { ifname: 'net1', prevResult: makePair(container, host, 'hv1', 'net1') };
      const before = snapshot();
      const theirs = () =>
        JSON.parse(callTheirs(host, container, 'ADD', 'net1', { ...both, prevResult: second.prevResult }));
      const prevResult = theirs();
      expect(links(host)).toContain(ifb);
      await t.ok('CHECK', both, { ...second, prevResult });
      await t.ok('DEL', both, { ...second, prevResult });
      expect(snapshot()).toEqual(before);
      // Nobody is redirected to it any more: the link went with its namespace.
      theirs();
      host.sh('ip link del hv1');
      await t.ok('DEL', both, { ifname: 'net1', container: undefined, prevResult: undefined });
      expect(links(host)).not.toContain(ifb);
      await t.ok('ADD', both);
      await t.ok('DEL', both, { ifname: 'net1', container: undefined, prevResult: undefined });
      await t.ok('CHECK', both);
    },
  );
});

describe('protocol', () => {
  test('every spec version is spoken, also those without interfaces in results (bandwidth 32)', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    const old = { cniVersion: '0.2.0', ...both };
    const prevResult = { cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24' } };
    const { result } = await t.ok('ADD', old, { prevResult });
    expect(result).toMatchObject({ cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24' } });
    expect(kinds(host, 'hv')).toEqual(['tbf', 'ingress']);
    expect(await t.failure('ADD', { cniVersion: '0.0.1', ...both })).toBe(
      '1 incompatible CNI versions: config is "0.0.1", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]',
    );
  });

  test('GC and STATUS are silent from 1.1.0 on (bandwidth 33)', async ({ host, container }) => {
    const t = trial(host, container);
    const newest = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
    for (const command of ['GC', 'STATUS'] as const) {
      expect((await t.ok(command, { ...both, ...newest })).stdout).toBe('');
      expect(await t.failure(command, both)).toBe(`1 config version does not allow ${command}`);
    }
  });

  test('GC takes the ifbs of lost attachments of this network alone, and lets their links go', async ({
    host,
    container,
  }) => {
    const t = trial(host, container);
    const before = snapshot();
    await t.ok('ADD', both);
    const newest = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
    await t.ok('GC', { ...newest, name: 'another' });
    expect(links(host)).toContain(ifb);
    const valid = [{ containerID: containerId, ifname: 'eth0' }];
    await t.ok('GC', { ...newest, 'cni.dev/valid-attachments': valid });
    await t.ok('CHECK', both);
    await t.ok('GC', newest);
    expect(snapshot()).toEqual(before);
  });

  test('STATUS tells of limits that no ADD would take', async ({ host, container }) => {
    const t = trial(host, container);
    const status = (own: object) => t.failure('STATUS', { cniVersion: '1.1.0', ...own });
    expect(await status({ ingressRate: 9 })).toMatch(
      /^50 bandwidth cannot serve ADD: if rate is set, burst must also be set/,
    );
    expect(await status({ ingressRate: 7, ingressBurst: 80 })).toMatch(
      /^50 .*create qdisc: invalid argument/,
    );
    expect(await status({})).toBeUndefined();
  });
});
