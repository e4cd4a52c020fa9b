/**
 * What every plugin must keep, whatever it does: each plugin's test calls this with a few configurations, then adds
 * its own cases.
 */
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { specVersions } from '@cni-ts/skeleton/released-versions';
import { decodeResult } from '@cni-ts/skeleton/result-version';
import { describe, expect, test } from 'vitest';
import { call } from './call.ts';
import { failingAdds, failingDels, type OnStage } from './failing-writes.ts';
import { omit, whatStays, without } from './lasting-state.ts';
import type { Container, Host } from './namespaces.ts';
import { expectTrue } from './result-truth.ts';
import { type Snapshot, snapshot } from './snapshot.ts';
import { type Given, onStage, type Stage } from './stage.ts';

/** One configuration to try. */
export interface Case {
  readonly title: string;
  /** The configuration without cniVersion and name. Files it names belong under `host.dir`. */
  config(host: Host): object;
  /** What the runtime adds for one container, where two must not ask for the same. */
  runtime?(containerId: string): object;
  /** Plugins it delegates to. */
  readonly plugins?: readonly Plugin[];
  /** What the host has already: a link to stand on, a server. */
  prepare?(host: Host): void;
  /** For a plugin in a chain: makes what the plugins before it make, and returns their result. Called again with the
   *  same container ID once that container is gone. */
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
  /** Members of the container's snapshot that stay changed after DEL, with the reason. */
  readonly leavesInContainer?: { readonly members: readonly (keyof Snapshot)[]; readonly because: string };
}

export function conformance(plugin: Plugin, cases: readonly Case[]): void {
  describe.each(cases)('conformance of $title', (one) => {
    test.each(checks(plugin, one))('%s', (_title, check) => check());
  });
}

/**
 * The promises by their names, each as a function that rejects with what is wrong. `patience`: milliseconds for what
 * the kernel does a moment later.
 */
export function checks(plugin: Plugin, one: Case, patience = 3000): [string, () => Promise<void>][] {
  const staged: Named[] = [
    ...specVersions.map((version) =>
      named(`ADD answers in version ${version}, and DEL follows`, (stage) => addInVersion(stage, version)),
    ),
    ['CHECK finds nothing wrong right after ADD', checkAfterAdd],
    ...Object.entries(one.tamperings ?? {}).map(([name, tampering]) =>
      named(`CHECK finds: ${name}`, (stage) => checkFinds(stage, tampering)),
    ),
    ...ways.map((way) =>
      named(`DEL ${way.title} leaves the host as it was before ADD, and again`, (stage) =>
        delRestores(stage, way),
      ),
    ),
    ['a DEL that fails at any of its kernel writes is completed by the next', failingDels],
    ['DEL without ADD succeeds and changes nothing', delWithoutAdd],
    ['GC with the attachment in the list leaves it alone', gcSpares],
    ['GC removes from the host what an attachment that is not in the list left there', gcCollects],
    ['STATUS of a configuration that works is silent, and VERSION lists every version', statusAndVersion],
  ];
  const on: OnStage = (check) => onStage(plugin, one, patience, check);
  return [
    ...staged.map(([title, check]): [string, () => Promise<void>] => [title, () => on(check)]),
    [
      'an ADD that fails at any of its kernel writes leaves host and container as they were',
      () => failingAdds(on),
    ],
  ];
}

type Named = [title: string, check: (stage: Stage) => Promise<void>];

function named(...one: Named): Named {
  return one;
}

async function addInVersion(stage: Stage, version: string): Promise<void> {
  const { plugin, case: one, host } = stage;
  const inexpressible = one.withoutAddress && version < '0.3.0';
  const stays = inexpressible ? await whatStays(stage) : undefined;
  const { given, container } = stage.attach('c1');
  const before = stage.both(container);
  const prevResult = given.prevResult && inVersion(given.prevResult, version);
  const answer = await call(plugin, 'ADD', { ...given, prevResult, config: stage.config(version) });
  if (stays) {
    expect(answer.error?.msg).toBe('cannot convert: no valid IP addresses');
    expect(without(stays, one, stage.both(container))).toEqual(without(stays, one, before));
    return;
  }
  expect(answer.status, answer.stdout + answer.stderr).toBe(0);
  const printed = JSON.parse(answer.stdout);
  expect(printed.cniVersion).toBe(version);
  expect(() => decodeResult(version, printed)).not.toThrow();
  expectTrue(printed, prevResult, host, container);
  await stage.succeed('DEL', { ...given, prevResult: undefined }, { cniVersion: version });
}

async function checkAfterAdd(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  const before = stage.both(container);
  const checked = await stage.succeed('CHECK', { ...given, prevResult: result });
  expect(checked.stdout).toBe('');
  expect(stage.both(container), 'CHECK changed something').toEqual(before);
}

async function checkFinds(
  stage: Stage,
  { by, says }: NonNullable<Case['tamperings']>[string],
): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  by(stage.host, container);
  const checked = await call(stage.plugin, 'CHECK', { ...given, config: stage.config(), prevResult: result });
  expect(checked.status, 'CHECK passed').toBe(1);
  expect(checked.error?.msg).toMatch(says);
}

/** A way DEL is called: what happened before, what it is told, and whether it is told where the container is. */
interface Way {
  readonly title: string;
  happens?(stage: Stage, container: Container): void;
  told?(given: Given, container: Container): Given;
  readonly knowsContainer: boolean;
}

const ways: readonly Way[] = [
  { title: 'as usual', knowsContainer: true },
  {
    title: 'without prevResult',
    told: (given) => ({ ...given, prevResult: undefined }),
    knowsContainer: true,
  },
  {
    title: 'after the namespace went away',
    happens: (_, container) => container.remove(),
    told: (given, { path }) => ({ ...given, container: undefined, netns: path }),
    knowsContainer: false,
  },
  {
    title: 'with an empty CNI_NETNS',
    told: (given) => ({ ...given, container: undefined, netns: '' }),
    knowsContainer: false,
  },
  {
    title: 'after the interface went away',
    happens: ({ ifname }, container) => void (ifname === 'lo' || container.succeeds(`ip link del ${ifname}`)),
    knowsContainer: true,
  },
];

async function delRestores(stage: Stage, { title, happens, told, knowsContainer }: Way): Promise<void> {
  const { case: one } = stage;
  // Links made anew, as those of other plugins are below, have other MACs.
  const steady = (state: Snapshot) =>
    happens ? { ...state, links: state.links.map((link) => ({ ...link, mac: undefined })) } : state;
  const look = (container: Container) => ({
    host: steady(stage.look()),
    ...(knowsContainer && {
      container: omit(steady(snapshot(container.netns)), one.leavesInContainer?.members),
    }),
  });
  await stage.warmUp();
  // What stands before it in the chain goes with the container or the link, just as it does without this plugin.
  const alone = happens && (await withoutPlugin(stage, 'c1', (container) => happens(stage, container), look));
  const { given, container } = stage.attach('c1');
  const expected = alone ?? look(container);
  const { result } = await stage.succeed('ADD', given);
  happens?.(stage, container);
  const known = { ...given, prevResult: result };
  for (const which of ['first', 'second']) {
    await stage.succeed('DEL', told?.(known, container) ?? known);
    if (title.includes('CNI_NETNS') && one.staysWithoutPath) container.remove();
    await stage.settled(() => expect(look(container), `after the ${which} DEL`).toEqual(expected));
  }
}

/** What `look` sees after `happens` where this plugin was never called; the container is gone afterwards. */
async function withoutPlugin<T>(
  stage: Stage,
  containerId: string,
  happens: (container: Container) => void,
  look: (container: Container) => T,
): Promise<T> {
  const { container } = stage.attach(containerId);
  await stage.ending(container, () => happens(container));
  const seen = look(container);
  await stage.ending(container, container.remove);
  return seen;
}

async function delWithoutAdd(stage: Stage): Promise<void> {
  await stage.warmUp();
  const { given, container } = stage.attach('c1');
  const before = stage.both(container);
  if (stage.ifname !== 'lo') await stage.succeed('DEL', given);
  expect(stage.both(container)).toEqual(before);
}

async function gcSpares(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  const before = stage.both(container);
  await collect(stage, ['c1']);
  expect(stage.both(container)).toEqual(before);
  await stage.succeed('CHECK', { ...given, prevResult: result });
}

/** One attachment is lost, one is valid: the lost one's things go, the valid one's stay. */
async function gcCollects(stage: Stage): Promise<void> {
  await stage.warmUp();
  await withoutPlugin(
    stage,
    'lost',
    (container) => container.remove(),
    () => undefined,
  );
  const kept = stage.attach('kept');
  const { result } = await stage.succeed('ADD', kept.given);
  const before = stage.both(kept.container);
  const lost = stage.attach('lost');
  await stage.succeed('ADD', lost.given);
  await stage.ending(lost.container, lost.container.remove);
  await collect(stage, ['kept']);
  await stage.settled(() => expect(stage.both(kept.container)).toEqual(before));
  await stage.succeed('CHECK', { ...kept.given, prevResult: result });
}

async function collect({ succeed, base, ifname }: Stage, valid: readonly string[]): Promise<void> {
  const attachments = valid.map((containerID) => ({ containerID, ifname }));
  await succeed('GC', base, { 'cni.dev/valid-attachments': attachments });
}

async function statusAndVersion({ plugin, base, config, succeed }: Stage): Promise<void> {
  expect((await succeed('STATUS', base)).stdout).toBe('');
  const { stdout } = await call(plugin, 'VERSION', { config: config() });
  expect(JSON.parse(stdout)).toEqual({ cniVersion: '1.1.0', supportedVersions: specVersions });
}

/** A prevResult of 1.1.0 as a runtime hands it to another configuration. */
function inVersion(result: object, version: string): object {
  const full = result as {
    interfaces?: object[];
    ips?: { address: string; gateway?: string }[];
    routes?: object[];
  };
  if (version >= '1.0.0') return { ...full, cniVersion: version };
  if (version < '0.3.0') {
    const of = (colon: boolean) => full.ips?.find(({ address }) => address.includes(':') === colon);
    const side = (ip?: { address: string; gateway?: string }) =>
      ip && { ip: ip.address, gateway: ip.gateway };
    return { cniVersion: version, ip4: side(of(false)), ip6: side(of(true)), dns: {} };
  }
  const ips = (full.ips ?? []).map((ip) => ({ ...ip, version: ip.address.includes(':') ? '6' : '4' }));
  return { ...full, cniVersion: version, ips, dns: {} };
}
