/**
 * What every plugin must keep, whatever it does: each plugin's test calls this with a few configurations, then adds
 * its own cases.
 */

import type { Plugin } from '@cni-ts/skeleton/plugin';
import { specVersions } from '@cni-ts/spec/released-versions';
import { decodeResult } from '@cni-ts/spec/result-version';
import { describe, expect, test } from 'vitest';
import { call, executables } from './call.ts';
import type { Case, Tampering } from './case.ts';
import { delRestores, ways, withoutPlugin } from './del-ways.ts';
import { failingAdds, failingDels } from './failing-writes.ts';
import { faultPromises, type OnStage } from './fault-sweep.ts';
import { omit, whatStays, without } from './lasting-state.ts';
import { expectTrue } from './result-truth.ts';
import { snapshot } from './snapshot.ts';
import { onStage, type Stage } from './stage.ts';

/** Run against the executables every case has all promises. From sources the first has; of others those are left that no
 *  executable can show, that requests are refused. CNI_TS_WHOLE=1: all of them. */
export function conformance(plugin: Plugin, cases: readonly Case[]): void {
  const isWhole = executables !== undefined || process.env.CNI_TS_WHOLE !== undefined;
  describe.each(cases)('conformance of $title', (one) => {
    for (const [title, check, limit] of checks(plugin, one))
      if (isWhole || one === cases[0] || limit !== undefined)
        test(title, limit === undefined ? {} : { timeout: limit }, check);
  });
}

/** A promise by its name, a function that rejects with what is wrong, and how long that may take where it takes longer
 *  than other tests do. Milliseconds. */
export type Check = [title: string, check: () => Promise<void>, limit?: number];

/** The promises. `patience`: milliseconds for what the kernel does a moment later. */
export function checks(plugin: Plugin, one: Case, patience = 3000): Check[] {
  const staged: Named[] = [
    ...specVersions.map((version) =>
      named(`ADD answers in version ${version}, and DEL follows`, (stage) => addInVersion(stage, version)),
    ),
    ['CHECK finds nothing wrong right after ADD', checkAfterAdd],
    ...Object.entries(one.tamperings ?? {}).map(([name, tampering]) =>
      named(`CHECK finds: ${name}`, (stage) => checkFinds(stage, tampering)),
    ),
    ['a dry run touches nothing, and tells what ADD then makes', dryRun],
    ['REPAIR right after ADD finds nothing to do and changes nothing', repairOfNothing],
    ...Object.entries(one.tamperings ?? {})
      .filter(([, { notHealed }]) => notHealed === undefined)
      .map(([name, tampering]) => named(`REPAIR heals: ${name}`, (stage) => repairHeals(stage, tampering))),
    ...ways.map((way) =>
      named(`DEL ${way.title} leaves the host as it was before ADD, and again`, (stage) =>
        delRestores(stage, way),
      ),
    ),
    ['DEL without ADD succeeds and changes nothing', delWithoutAdd],
    ['DEL of nothing leaves an interface of that name that somebody else made', delSparesStranger],
    ['DEL that is told the namespace of another container leaves that one alone', delSparesNeighbour],
    ['an ADD repeated for an attachment that is there changes nothing, and CHECK and DEL work', repeatedAdd],
    ['GC with the attachment in the list leaves it alone', gcSpares],
    ['GC removes from the host what an attachment that is not in the list left there', gcCollects],
    ['GC removes such from the host while its namespace is still there', gcCollectsFromLiving],
    ['STATUS of a configuration that works is silent, and VERSION lists every version', statusAndVersion],
  ];
  const on: OnStage = (check) => onStage(plugin, one, patience, check);
  return [
    ...staged.map(([title, check]): Check => [title, () => on(check)]),
    // Up to a hundred calls, most of them on a host of their own: six seconds on a quiet machine.
    ...(executables === undefined ? failingWrites(on) : faultPromises(on)).map(
      ([title, check]): Check => [title, check, 120_000],
    ),
  ];
}

function failingWrites(on: OnStage): Check[] {
  return [
    ['a DEL that fails at any of its kernel writes is completed by the next', () => on(failingDels)],
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
  const before = inexpressible ? stage.both(container) : undefined;
  const prevResult = given.prevResult && inVersion(given.prevResult, version);
  const answer = await call(plugin, 'ADD', { ...given, prevResult, config: stage.config(version) });
  if (stays && before) {
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

async function checkFinds(stage: Stage, { by, says }: Tampering): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  by(stage.host, container);
  const checked = await call(stage.plugin, 'CHECK', { ...given, config: stage.config(), prevResult: result });
  expect(checked.status, 'CHECK passed').toBe(1);
  expect(checked.error?.msg).toMatch(says);
}

/** By machine: what the result has that was not there before is named by a line of the dry run. */
async function dryRun(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  const before = stage.both(container);
  const { stdout } = await stage.succeed('PLAN', given);
  expect(stage.both(container), 'the dry run changed something').toEqual(before);
  const { changes, result } = JSON.parse(stdout);
  const texts = changes.map(({ text }: { text: string }) => text).join('\n');
  const made = (await stage.succeed('ADD', given)).result ?? {};
  const known = JSON.stringify(given.prevResult ?? {});
  for (const { name } of made.interfaces ?? []) {
    if (!known.includes(`"${name}"`) && name !== 'lo') expect(texts).toContain(name);
  }
  for (const { address } of made.ips ?? []) {
    if (!known.includes(`"${address}"`) && stage.ifname !== 'lo') expect(texts).toContain(address);
  }
  const withoutMacs = (all: { mac?: string }[] = []) => all.map(({ mac: _, ...rest }) => rest);
  expect({ ...result, interfaces: withoutMacs(result.interfaces) }).toEqual({
    ...made,
    interfaces: withoutMacs(made.interfaces),
  });
}

async function repairOfNothing(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  const before = stage.both(container);
  const { stdout } = await stage.succeed('REPAIR', { ...given, prevResult: result });
  expect(JSON.parse(stdout)).toEqual({ repaired: [] });
  expect(stage.both(container)).toEqual(before);
}

async function repairHeals(stage: Stage, { by }: Tampering): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  by(stage.host, container);
  const known = { ...given, prevResult: result };
  const { stdout } = await stage.succeed('REPAIR', known);
  expect(JSON.parse(stdout).repaired).not.toEqual([]);
  await stage.succeed('CHECK', known);
  expect(JSON.parse((await stage.succeed('REPAIR', known)).stdout)).toEqual({ repaired: [] });
}

async function delWithoutAdd(stage: Stage): Promise<void> {
  await stage.warmUp();
  const { given, container } = stage.attach('c1');
  const before = stage.both(container);
  if (stage.ifname !== 'lo') await stage.succeed('DEL', given);
  expect(stage.both(container)).toEqual(before);
}

/** A link that has the interface's name and is not of this attachment, which never was. */
async function delSparesStranger(stage: Stage): Promise<void> {
  const { ifname, host } = stage;
  const container = host.container('c1');
  if (ifname === 'lo') container.sh('ip link set lo up');
  else {
    host.sh(`ip link add stranger type veth peer name ${ifname} netns ${container.path}`);
    container.sh(`ip link set ${ifname} up; ip address add 10.99.0.2/24 dev ${ifname}`);
  }
  const before = stage.both(container);
  await stage.succeed('DEL', { ...stage.base, container, containerId: 'c1' });
  expect(stage.both(container)).toEqual(before);
}

/** As after a namespace's number went to another container: DEL of the one that is gone is told that one's path. */
async function delSparesNeighbour(stage: Stage): Promise<void> {
  const neighbour = stage.attach('kept');
  const { result } = await stage.succeed('ADD', neighbour.given);
  await withoutPlugin(
    stage,
    'lost',
    (container) => container.remove(),
    () => undefined,
  );
  const before = stage.both(neighbour.container);
  const gone = stage.attach('lost');
  const added = await stage.succeed('ADD', gone.given);
  await stage.ending(gone.container, gone.container.remove);
  await stage.succeed('DEL', {
    ...gone.given,
    container: neighbour.container,
    prevResult: added.result,
  });
  await stage.settled(() => expect(stage.both(neighbour.container)).toEqual(before));
  await stage.succeed('CHECK', { ...neighbour.given, prevResult: result });
}

/** Runtimes must not do this; where one does, neither it nor its clean-up may harm the container that works. */
async function repeatedAdd(stage: Stage): Promise<void> {
  await stage.warmUp();
  const { given, container } = stage.attach('c1');
  const look = () => ({
    host: stage.look(),
    container: omit(snapshot(container.netns), stage.case.leavesInContainer?.members),
  });
  const before = look();
  const { result } = await stage.succeed('ADD', given);
  // Rules may be written anew in another form; CHECK and DEL below tell whether they are right and counted.
  const working = () =>
    Object.entries(stage.both(container)).map(([, state]) =>
      omit(state, stage.case.before ? ['nftables', 'iptables'] : []),
    );
  const added = working();
  const repeated = await call(stage.plugin, 'ADD', { ...given, config: stage.config() });
  if (!stage.case.before && stage.ifname !== 'lo') expect(repeated.status, repeated.stdout).toBe(1);
  expect(working(), 'the repeated ADD changed something').toEqual(added);
  const known = { ...given, prevResult: result };
  await stage.succeed('CHECK', known);
  await stage.succeed('DEL', known);
  await stage.settled(() => expect(look(), 'after DEL').toEqual(before));
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

/** The same, but the runtime forgot an attachment whose container goes on living. */
async function gcCollectsFromLiving(stage: Stage): Promise<void> {
  await stage.warmUp();
  const kept = stage.attach('kept');
  const { result } = await stage.succeed('ADD', kept.given);
  const lost = stage.attach('lost');
  const before = stage.both(kept.container);
  await stage.succeed('ADD', lost.given);
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
