/**
 * What every IPAM plugin must keep, wherever its addresses come from: each one's test calls this with a few
 * configurations, then adds its own cases. conformance.ts is the form of plugins that make something in a container.
 */
import { writeFileSync } from 'node:fs';
import { parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { specVersions } from '@cni-ts/spec/released-versions';
import { decodeResult, takenResult } from '@cni-ts/spec/result-version';
import { describe, expect, test } from 'vitest';
import { type Answer, call } from './call.ts';
import { callsAtOnce } from './calls-at-once.ts';
import type { Case, Tampering } from './case.ts';
import type { Check } from './conformance.ts';
import { diskPromises, type OnStage } from './fault-sweep.ts';
import { addressesOf, type IpamCase, Trial } from './ipam-trial.ts';
import type { Container } from './namespaces.ts';
import { type Given, onStage, type Stage } from './stage.ts';

export function ipamConformance(plugin: Plugin, cases: readonly IpamCase[]): void {
  describe.each(cases)('conformance of $title', (one) => {
    for (const [title, check, limit] of ipamChecks(plugin, one))
      test(title, limit === undefined ? {} : { timeout: limit }, check);
  });
}

/** The promises. `patience`: milliseconds for what is taken back a moment later. */
export function ipamChecks(plugin: Plugin, one: IpamCase, patience = 3000): Check[] {
  const { link, memory = 'files', tamperings = {} } = one;
  const staged: [title: string, check: (on: Trial) => Promise<void>][] = [
    ...specVersions.map((version): [string, (on: Trial) => Promise<void>] => [
      `ADD answers in version ${version}, and DEL follows`,
      (on) => addInVersion(on, version),
    ]),
    ['ADD changes nothing in the container: that is for who called it', addSparesContainer],
    ['CHECK finds nothing wrong right after ADD', checkAfterAdd],
    ...Object.entries(tamperings).map(([name, tampering]): [string, (on: Trial) => Promise<void>] => [
      `CHECK finds: ${name}`,
      (on) => checkFinds(on, tampering),
    ]),
    ['a dry run takes nothing, and tells what ADD then gives', dryRun],
    ['REPAIR right after ADD finds nothing to do and changes nothing', repairOfNothing],
    ...Object.entries(tamperings)
      .filter(([, { notHealed }]) => notHealed === undefined)
      .map(([name, tampering]): [string, (on: Trial) => Promise<void>] => [
        `REPAIR heals: ${name}`,
        (on) => repairHeals(on, tampering),
      ]),
    ...ways(one).map((way): [string, (on: Trial) => Promise<void>] => [
      `DEL ${way.title} leaves all as it was before ADD, and again`,
      (on) => delRestores(on, way),
    ]),
    ['DEL without ADD succeeds and changes nothing', delWithoutAdd],
    ["DEL of one interface leaves the address of the container's other one", delSparesSibling],
    ['an ADD repeated for an attachment that is there changes nothing, and CHECK and DEL work', repeatedAdd],
    ['GC with the attachment in the list leaves it alone', gcSpares],
    ['GC takes back what an attachment that is not in the list has, and no more', gcCollects],
    ['STATUS of a configuration that works is silent, and VERSION lists every version', statusAndVersion],
  ];
  if (memory !== 'nobody') {
    staged.push(
      ['two attachments have not one address', distinct],
      ['ADDs at once do not get one address', atOnce],
    );
  }
  const whole: Case = {
    ...one,
    ...(link && {
      before(host, container, containerId) {
        link(host, container, containerId);
        return undefined;
      },
    }),
  };
  const on: OnStage = (check) => onStage(plugin, whole, patience, check);
  return [
    ...staged.map(([title, check]): Check => [title, () => on((stage) => check(new Trial(stage, one)))]),
    // Some dozens of calls, from sources each a process of its own, which takes a third of a second to start.
    ...(memory === 'files' ? diskPromises(on) : []).map(([title, check]): Check => [title, check, 120_000]),
  ];
}

async function addInVersion(on: Trial, version: string): Promise<void> {
  const { stage } = on;
  const { given } = stage.attach('c1');
  const answer = await call(stage.plugin, 'ADD', { ...given, config: on.config('c1', version) });
  expect(answer.status, answer.stdout + answer.stderr).toBe(0);
  const printed = JSON.parse(answer.stdout);
  expect(printed.cniVersion).toBe(version);
  // CNI specification, section 4: an IPAM plugin's result has neither.
  expect(printed, 'which links there are is not for an IPAM plugin to say').not.toHaveProperty('interfaces');
  for (const ip of printed.ips ?? []) expect(ip).not.toHaveProperty('interface');
  const { ips = [] } = takenResult(decodeResult(version, printed));
  expect(ips, 'no address was given').not.toEqual([]);
  for (const { address, gateway } of ips) {
    expect(parseCidr(address), address).toBeDefined();
    if (gateway !== undefined) expect(parseIp(gateway), gateway).toBeDefined();
  }
  await stage.succeed('DEL', given, { cniVersion: version });
}

async function addSparesContainer({ stage, one }: Trial): Promise<void> {
  const { given, container } = stage.attach('c1');
  const look = () => {
    const seen: Record<string, unknown> = { ...stage.both(container).container };
    for (const member of one.leavesInContainer?.members ?? []) delete seen[member];
    return seen;
  };
  const before = look();
  await stage.succeed('ADD', given);
  expect(look()).toEqual(before);
}

async function checkAfterAdd(on: Trial): Promise<void> {
  const { known } = await on.added('c1');
  const before = on.look();
  const checked = await on.stage.succeed('CHECK', known);
  expect(checked.stdout).toBe('');
  expect(on.look(), 'CHECK changed something').toEqual(before);
}

async function checkFinds(on: Trial, { by, says }: Tampering): Promise<void> {
  const { stage } = on;
  const { known, container } = await on.added('c1');
  by(stage.host, container);
  const checked = await call(stage.plugin, 'CHECK', { ...known, config: on.config('c1') });
  expect(checked.status, 'CHECK passed').toBe(1);
  expect(checked.error?.msg).toMatch(says);
}

async function dryRun(on: Trial): Promise<void> {
  const { stage, one } = on;
  const { given } = stage.attach('c1');
  const before = on.look();
  const { stdout } = await stage.succeed('PLAN', given);
  expect(on.look(), 'the dry run took something').toEqual(before);
  const { changes, result } = JSON.parse(stdout);
  if (one.chosenElsewhere !== undefined) return;
  const ips = addressesOf((await stage.succeed('ADD', given)).result);
  expect(addressesOf(result)).toEqual(ips);
  if (one.memory === 'nobody') return;
  const texts = changes.map(({ text }: { text: string }) => text).join('\n');
  for (const address of ips) expect(texts).toContain(address.replace(/\/.*/, ''));
}

async function repairOfNothing(on: Trial): Promise<void> {
  const { known } = await on.added('c1');
  const before = on.look();
  const { stdout } = await on.stage.succeed('REPAIR', known);
  expect(JSON.parse(stdout)).toEqual({ repaired: [] });
  expect(on.look()).toEqual(before);
}

async function repairHeals(on: Trial, { by }: Tampering): Promise<void> {
  const { stage } = on;
  const { known, container } = await on.added('c1');
  by(stage.host, container);
  const { stdout } = await stage.succeed('REPAIR', known);
  expect(JSON.parse(stdout).repaired).not.toEqual([]);
  await stage.succeed('CHECK', known);
  expect(JSON.parse((await stage.succeed('REPAIR', known)).stdout)).toEqual({ repaired: [] });
}

/** A way DEL is called. */
interface Way {
  readonly title: string;
  /** Before it. */
  happens?(container: Container): void;
  told?(known: Given, container: Container): Given;
  /** Members of the configuration that are others by now. */
  config?(stage: Stage): object;
}

function ways({ whereStateIs = ['dataDir'], other }: IpamCase): Way[] {
  /** The `ipam` section, with all but its type and what says where the state is made this. */
  const withAll = (value: unknown) => (stage: Stage) => {
    const { ipam = {} } = stage.config() as { ipam?: object }; // reason: any IPAM configuration
    const kept = ['type', ...whereStateIs];
    const members = Object.entries(ipam).map(([key, own]) => [key, kept.includes(key) ? own : value]);
    return { ipam: Object.fromEntries(members) };
  };
  const withoutPath = (netns: string, known: Given): Given => ({ ...known, container: undefined, netns });
  return [
    { title: 'as usual' },
    { title: 'without prevResult', told: (known) => ({ ...known, prevResult: undefined }) },
    {
      title: 'after the namespace went away',
      happens: (container) => container.remove(),
      told: (known, { path }) => withoutPath(path, known),
    },
    {
      title: 'with a CNI_NETNS that has become a plain file',
      happens: (container) => container.remove(),
      told(known, { path }) {
        // What a mount point under /run/netns is when the mount went with a reboot, say.
        writeFileSync(path, '');
        return withoutPath(path, known);
      },
    },
    { title: 'with an empty CNI_NETNS', told: (known) => withoutPath('', known) },
    {
      title: 'with a configuration that has lost its optional fields, and without prevResult',
      told: (known) => ({ ...known, prevResult: undefined }),
      config: withAll(undefined),
    },
    { title: 'with a configuration that is not valid any more', config: withAll(false) },
    ...(other ? [{ title: 'with another configuration', config: ({ host }: Stage) => other(host) }] : []),
  ];
}

async function delRestores(on: Trial, { title, happens, told, config }: Way): Promise<void> {
  const { stage } = on;
  await on.warmUp();
  const before = on.look();
  const { known, container } = await on.added('c1');
  if (on.one.memory !== 'nobody') expect(on.look(), 'ADD is seen nowhere').not.toEqual(before);
  happens?.(container);
  for (const which of ['first', 'second']) {
    await stage.succeed('DEL', told?.(known, container) ?? known, config?.(stage));
    if (title.includes('CNI_NETNS')) container.remove();
    await on.settlesTo(before, `after the ${which} DEL`);
  }
}

async function delWithoutAdd(on: Trial): Promise<void> {
  await on.warmUp();
  const { given } = on.stage.attach('c1');
  const before = on.look();
  await on.stage.succeed('DEL', given);
  expect(on.look()).toEqual(before);
}

async function delSparesSibling(on: Trial): Promise<void> {
  const { stage } = on;
  const first = await on.added('c1');
  const before = on.look();
  const second = await on.addedTo({ ...first.known, ifname: 'net1', prevResult: undefined });
  await stage.succeed('DEL', second.known);
  await on.settlesTo(before);
  await stage.succeed('CHECK', first.known);
}

/** It may be refused or given what it has; what it has stays. */
async function repeatedAdd(on: Trial): Promise<void> {
  const { stage } = on;
  await on.warmUp();
  const before = on.look();
  const { known, ips } = await on.added('c1');
  const working = on.look();
  const again: Answer = await call(stage.plugin, 'ADD', {
    ...known,
    prevResult: undefined,
    config: on.config('c1'),
  });
  if (again.status === 0) expect(addressesOf(again.result), 'it has another address now').toEqual(ips);
  else expect(again.error?.msg, again.stderr).toBeTruthy();
  expect(on.look(), 'the repeated ADD changed something').toEqual(working);
  await stage.succeed('CHECK', known);
  await stage.succeed('DEL', known);
  await on.settlesTo(before, 'after DEL');
}

async function gcSpares(on: Trial): Promise<void> {
  const { known } = await on.added('c1');
  const before = on.look();
  await collect(on, ['c1']);
  expect(on.look()).toEqual(before);
  await on.stage.succeed('CHECK', known);
}

/** Of two lost ones one has its namespace still. */
async function gcCollects(on: Trial): Promise<void> {
  const kept = await on.added('kept');
  const before = on.look();
  const lost = await on.added('lost');
  await on.added('forgotten');
  lost.container.remove();
  await collect(on, ['kept']);
  await on.settlesTo(before);
  await on.stage.succeed('CHECK', kept.known);
}

async function collect({ stage }: Trial, valid: readonly string[]): Promise<void> {
  const attachments = valid.map((containerID) => ({ containerID, ifname: stage.ifname }));
  await stage.succeed('GC', stage.base, { 'cni.dev/valid-attachments': attachments });
}

async function statusAndVersion({ stage }: Trial): Promise<void> {
  expect((await stage.succeed('STATUS', stage.base)).stdout).toBe('');
  const { stdout } = await call(stage.plugin, 'VERSION', { config: stage.config() });
  expect(JSON.parse(stdout)).toEqual({ cniVersion: '1.1.0', supportedVersions: specVersions });
}

async function distinct(on: Trial): Promise<void> {
  const first = await on.added('c1');
  const second = await on.added('c2');
  expect(first.ips.filter((ip) => second.ips.includes(ip))).toEqual([]);
}

/** As processes, for only these are at once. */
async function atOnce(on: Trial): Promise<void> {
  const { stage } = on;
  const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((containerId) => stage.attach(containerId).given);
  const answers = await callsAtOnce(
    stage.plugin,
    'ADD',
    all.map((given) => ({ ...given, config: on.config(given.containerId) })),
  );
  const given = answers.flatMap(({ status, stdout, stderr }) => {
    expect(status, stdout + stderr).toBe(0);
    return addressesOf(JSON.parse(stdout));
  });
  expect(new Set(given).size, `given were ${given.join(', ')}`).toBe(given.length);
}
