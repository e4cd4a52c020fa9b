/**
 * What a plugin that makes the container's link must keep about links and addresses that are not its own: another
 * container's in a namespace that has got the process ID of an old one, another network's of the same name, an earlier
 * ADD's, the host's. Each such plugin's test calls this with a case whose IPAM gives addresses away.
 */
import { isDeepStrictEqual } from 'node:util';
import { RawNetlinkSocket } from '@cni-ts/libc/socket';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { describe, expect, test, vi } from 'vitest';
import { call } from './call.ts';
import type { Case } from './case.ts';
import type { OnStage } from './fault-sweep.ts';
import { whatStays, without } from './lasting-state.ts';
import type { Container } from './namespaces.ts';
import { onStage, type Stage } from './stage.ts';

const patience = 3000;

/** `hostLinks`: whether it leaves a link on the host, which can outlive the container there. */
export function ownLinks(plugin: Plugin, one: Case, { hostLinks }: { readonly hostLinks: boolean }): void {
  const on: OnStage = (check) => onStage(plugin, one, patience, check);
  describe(`own links of ${one.title}`, () => {
    test("DEL leaves another container's link alone, whose namespace the path leads to by now", () =>
      on(recycledPath));
    test('DEL of a network whose ADD failed leaves the link and the address of the one that has the name', () =>
      on(otherNetwork));
    test('a second ADD of an attachment is refused and changes nothing of it', () => on(secondAdd));
    test("ADD and CHECK refuse the plugin's own namespace; to DEL it is gone, and all else goes", () =>
      on((stage) => ownNamespace(stage, hostLinks)));
    test('DEL takes a file that is no namespace for one that is gone', () => on(staleFile));
    test('DEL takes a template for CNI_IFNAME, and deletes nothing else; ADD refuses it', () => on(template));
    test.skipIf(!hostLinks)(
      'GC deletes the link of an attachment that is not valid though its namespace lives',
      () => on(gcWhileAlive),
    );
    test.skipIf(process.env.CNI_TS_EXECUTABLES !== undefined)(
      'an ADD that does not hear any one answer of the kernel leaves host and container as they were',
      () => lostAnswers(on),
    );
    test.skipIf(process.env.CNI_TS_EXECUTABLES !== undefined)(
      'an ADD that does not hear the refusal of a taken name leaves whose it is alone',
      () => on(lostRefusals),
    );
  });
}

function mac(container: Container): string {
  return JSON.parse(container.sh('ip -j link show eth0'))[0].address;
}

async function recycledPath(stage: Stage): Promise<void> {
  const gone = stage.attach('gone');
  const { result } = await stage.succeed('ADD', gone.given);
  const other = stage.attach('other');
  await stage.succeed('ADD', other.given);
  await stage.ending(gone.container, gone.container.remove);
  const before = mac(other.container);
  const path = { ...gone.given, container: other.container };
  for (const prevResult of [result, undefined]) {
    await stage.succeed('DEL', { ...path, prevResult });
    expect(mac(other.container)).toBe(before);
  }
  // What it had besides the link went all the same.
  await stage.succeed('ADD', stage.attach('gone').given);
}

async function otherNetwork(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  await stage.succeed('ADD', given);
  const before = stage.both(container);
  const other = { ...stage.config(), ...stage.case.runtime?.('c1'), name: 'other' };
  const refused = await call(stage.plugin, 'ADD', { ...given, config: other });
  expect(refused.status).toBe(1);
  await call(stage.plugin, 'DEL', { ...given, config: other });
  const links = ({ host, container }: typeof before) => ({
    ...without(new Set(), stage.case, { container }),
    host: host.links,
  });
  expect(links(stage.both(container))).toEqual(links(before));
}

async function secondAdd(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  const before = stage.both(container);
  const config = { ...stage.config(), ...stage.case.runtime?.('c1') };
  expect((await call(stage.plugin, 'ADD', { ...given, config })).status).toBe(1);
  expect(stage.both(container)).toEqual(before);
  // The same once more for a namespace where the name is free.
  const elsewhere = stage.host.container('elsewhere');
  expect((await call(stage.plugin, 'ADD', { ...given, config, container: elsewhere })).status).toBe(1);
  expect(stage.both(container)).toEqual(before);
  await stage.succeed('CHECK', { ...given, prevResult: result });
}

async function ownNamespace(stage: Stage, hostLinks: boolean): Promise<void> {
  const { given, container } = stage.attach('c1');
  const { result } = await stage.succeed('ADD', given);
  // Where the master has that name, it is the stranger.
  stage.host.succeeds('ip link add eth0 type bridge');
  const own = { ...given, container: undefined, netns: '/proc/thread-self/ns/net', prevResult: result };
  const config = { ...stage.config(), ...stage.case.runtime?.('c1') };
  const before = stage.both(container);
  for (const command of ['ADD', 'CHECK'] as const) {
    expect((await call(stage.plugin, command, { ...own, config })).error).toMatchObject({
      code: 8,
      msg: "plugin's netns and netns from CNI_NETNS should not be the same",
    });
  }
  expect(stage.both(container)).toEqual(before);
  await stage.succeed('DEL', own);
  expect(stage.host.succeeds('ip link show eth0')).toBe(true);
  expect(container.succeeds('ip link show eth0')).toBe(!hostLinks);
  await stage.ending(container, container.remove);
  await stage.succeed('ADD', stage.attach('c1').given);
}

async function staleFile(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  await stage.succeed('ADD', given);
  await stage.ending(container, container.remove);
  stage.host.sh(`touch ${container.path}`);
  for (let i = 0; i < 2; i++) await stage.succeed('DEL', given);
  stage.host.sh(`rm ${container.path}`);
  await stage.succeed('ADD', stage.attach('c1').given);
}

async function template(stage: Stage): Promise<void> {
  const { given, container } = stage.attach('c1');
  await stage.succeed('ADD', given);
  const before = stage.both(container);
  const config = { ...stage.config(), ...stage.case.runtime?.('c1') };
  const refused = await call(stage.plugin, 'ADD', { ...given, ifname: 'eth%d', config });
  expect(refused.error).toMatchObject({ code: 4, msg: 'interface name contains %' });
  await stage.succeed('DEL', { ...given, ifname: 'eth%d' });
  expect(stage.both(container)).toEqual(before);
}

async function gcWhileAlive(stage: Stage): Promise<void> {
  await stage.warmUp();
  const kept = stage.attach('kept');
  await stage.succeed('ADD', kept.given);
  const lost = stage.attach('lost');
  const before = stage.both(kept.container);
  const empty = stage.both(lost.container).container;
  await stage.succeed('ADD', lost.given);
  const valid = [{ containerID: 'kept', ifname: stage.ifname }];
  await stage.succeed('GC', stage.base, { 'cni.dev/valid-attachments': valid });
  await stage.settled(() => expect(stage.both(kept.container)).toEqual(before));
  expect(stage.both(lost.container).container.links).toEqual(empty.links);
}

/** Lets the n-th answer of the kernel be lost, after it has done what was asked: recv(2) answers ENOBUFS then.
 *  `vi.restoreAllMocks()` ends it. */
export function losing(nth: number): { readonly seen: () => number } {
  let seen = 0;
  const receive = RawNetlinkSocket.prototype.receive;
  vi.spyOn(RawNetlinkSocket.prototype, 'receive').mockImplementation(function (this: RawNetlinkSocket, into) {
    const length = receive.call(this, into);
    if (++seen === nth) throw new SyscallError('recv', 'ENOBUFS');
    return length;
  });
  return { seen: () => seen };
}

async function lostAnswers(on: OnStage): Promise<void> {
  let stays: ReadonlySet<string> = new Set();
  await on(async (stage) => {
    stays = await whatStays(stage);
  });
  let nth = 0;
  for (let more = true; more; ) {
    await on(async (stage) => {
      const { given, container } = stage.attach('c1');
      const before = stage.both(container);
      const config = { ...stage.config(), ...stage.case.runtime?.('c1') };
      const strip = (states: typeof before) => without(stays, stage.case, states);
      // As long as nothing at all is left, not even what may stay, the next answer is lost on the same host.
      for (let untouched = true; untouched; ) {
        nth++;
        const { seen } = losing(nth);
        const answer = await call(stage.plugin, 'ADD', { ...given, config }).finally(() =>
          vi.restoreAllMocks(),
        );
        more = seen() >= nth;
        if (!more) return;
        const story = `answer ${nth} was lost: ${answer.stdout}`;
        expect(answer.status, story).toBe(1);
        expect(answer.stdout).not.toContain('could not undo');
        let after = before;
        await stage.settled(() => {
          after = stage.both(container);
          expect(strip(after), story).toEqual(strip(before));
        });
        untouched = isDeepStrictEqual(after, before);
      }
    });
  }
}

/** The name is taken, by an earlier ADD or by a stranger's link, and the kernel's saying so is lost. */
async function lostRefusals(stage: Stage): Promise<void> {
  const taken = stage.attach('c1');
  await stage.succeed('ADD', taken.given);
  const strange = stage.host.container('strange');
  strange.sh('ip link add eth0 type bridge');
  const places = [
    { given: taken.given, container: taken.container },
    { given: { ...taken.given, containerId: 'c2', container: strange }, container: strange },
  ];
  for (const { given, container } of places) {
    const before = stage.both(container);
    const config = { ...stage.config(), ...stage.case.runtime?.(given.containerId ?? '') };
    let more = true;
    for (let nth = 1; more; nth++) {
      const { seen } = losing(nth);
      const answer = await call(stage.plugin, 'ADD', { ...given, config }).finally(() =>
        vi.restoreAllMocks(),
      );
      more = seen() >= nth;
      expect(answer.status).toBe(1);
      const story = `answer ${nth} was lost: ${answer.stdout}`;
      await stage.settled(() => expect(stage.both(container), story).toEqual(before));
    }
  }
}
