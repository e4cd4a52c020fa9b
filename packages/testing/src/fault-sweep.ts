/**
 * The promises about failures and signals, of executables: the same as failing-writes.ts has for sources, and those
 * that take a process. One fault after the other, at each change in turn; the state is looked at when all have been,
 * since a look takes ten times as long as a call. Where something is left then, each fault is tried on a host of its
 * own to find the one that left it.
 */
import { lutimesSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Answer, type Command, call, executables } from './call.ts';
import { type FaultMode, injectorStatus } from './fault-injector.ts';
import { omit, whatStays, without } from './lasting-state.ts';
import type { Snapshot } from './snapshot.ts';
import type { Given, Stage } from './stage.ts';

/** Runs a check on a stage of its own. */
export type OnStage = (check: (stage: Stage) => void | Promise<void>) => Promise<void>;

interface Sweep {
  readonly command: 'ADD' | 'DEL';
  readonly mode: FaultMode;
  /** What follows an ADD that was killed. */
  readonly next?: 'DEL' | 'GC';
}

const refusedAdd: Sweep = { command: 'ADD', mode: 'refuse' };
const refusedDel: Sweep = { command: 'DEL', mode: 'refuse' };

const sweeps: Readonly<Record<string, Sweep>> = {
  'an ADD that fails at any of its kernel writes leaves host and container as they were': refusedAdd,
  'an ADD that loses an answer of the kernel leaves host and container as they were': {
    command: 'ADD',
    mode: 'lose',
  },
  'an ADD that gets SIGTERM at any of its changes succeeds, or answers so and leaves nothing': {
    command: 'ADD',
    mode: 'term',
  },
  'an ADD that is killed at any of its changes is undone by DEL': {
    command: 'ADD',
    mode: 'kill',
    next: 'DEL',
  },
  'what an ADD that is killed at any of its changes left on the host is removed by GC': {
    command: 'ADD',
    mode: 'kill',
    next: 'GC',
  },
  'a DEL that fails at any of its kernel writes is completed by the next': refusedDel,
  'a DEL that loses an answer of the kernel is completed by the next': { command: 'DEL', mode: 'lose' },
  'a DEL that is killed at any of its changes is completed by the next': { command: 'DEL', mode: 'kill' },
  'a DEL that gets SIGTERM at any of its changes is completed by the next': { command: 'DEL', mode: 'term' },
};

/** The promises by their names, for the executable of a plugin. */
export function faultPromises(on: OnStage): [string, () => Promise<void>][] {
  return Object.entries(sweeps).map(([title, sweep]) => [title, () => run(sweep, on)]);
}

/** Those of a plugin that changes files alone, of its executable or of its sources; of these only what a full disk does,
 *  for each call is a Node that starts. */
export function diskPromises(on: OnStage): [string, () => Promise<void>][] {
  const titles = {
    'an ADD that cannot write any one thing to the disk leaves all as it was': refusedAdd,
    'a DEL that cannot write any one thing to the disk is completed by the next': refusedDel,
  };
  const refused = Object.entries(titles).map(([title, sweep]): [string, () => Promise<void>] => [
    title,
    () => run(sweep, on),
  ]);
  if (executables === undefined) return refused;
  const others = Object.entries(sweeps).filter(([, { mode }]) => mode === 'kill' || mode === 'term');
  return [
    ...refused,
    ...others.map(([title, sweep]): [string, () => Promise<void>] => [title, () => run(sweep, on)]),
  ];
}

async function run(sweep: Sweep, on: OnStage): Promise<void> {
  // A failed ADD takes back the bridge it made as well, so its host is one where nothing is yet.
  const cold = sweep.command === 'ADD' && sweep.mode === 'refuse';
  const changes = await (cold ? tryAllFromNothing(sweep, on) : tryAll(sweep, on));
  // A DEL may have to change nothing but what the kernel removes by itself.
  const least = sweep.command === 'ADD' && sweep.mode !== 'lose' ? 1 : 0;
  expect(changes, 'no change was seen: the fault injector is not in the way').toBeGreaterThanOrEqual(least);
}

/** Returns how many changes there were. */
async function tryAll(sweep: Sweep, on: OnStage): Promise<number> {
  let at = 1;
  let left: unknown;
  await on(async (stage) => {
    const place = await warmPlace(sweep, stage);
    while ((await attempt(sweep, stage, place.attachment(at), at)).reached) at++;
    left = await thrownBy(place.expectClean(`after ${at - 1} faults one after the other`));
  });
  if (left === undefined) return at - 1;
  await findTheOne(sweep, on);
  throw left;
}

async function thrownBy(work: Promise<void>): Promise<unknown> {
  try {
    await work;
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

/** Rejects with the first fault that leaves something by itself. */
async function findTheOne(sweep: Sweep, on: OnStage): Promise<void> {
  for (let at = 1, more = true; more; at++) {
    await on(async (stage) => {
      const place = await warmPlace(sweep, stage);
      const { reached, story } = await attempt(sweep, stage, place.attachment(at), at);
      await place.expectClean(story);
      more = reached;
    });
  }
}

/** An ADD that succeeds all the same leaves what all attachments share: the next is on a new host. */
async function tryAllFromNothing(sweep: Sweep, on: OnStage): Promise<number> {
  let stays: ReadonlySet<string> = new Set();
  await on(async (stage) => {
    stays = await whatStays(stage);
  });
  let at = 1;
  for (let more = true; more; ) {
    await on(async (stage) => {
      const { given, container } = stage.attach('c1');
      const look = () => without(stays, stage.case, stage.both(container));
      const before = look();
      for (let failed = true; failed; ) {
        const seen = await attempt(sweep, stage, { given, container }, at);
        more = seen.reached;
        failed = seen.answer.status !== 0;
        if (failed) await stage.settled(() => expect(look(), seen.story).toEqual(before));
        if (more) at++;
      }
    });
  }
  return at - 1;
}

type Attachment = ReturnType<Stage['attach']>;

/** Where one fault after the other happens. */
interface Place {
  /** Each call is about another container ID. */
  attachment(at: number): Attachment;
  /** Rejects unless all is as it was before the first. */
  expectClean(story: string): Promise<void>;
}

/** A host on which an attachment was before, so that what stays for good is there. */
async function warmPlace({ command, next }: Sweep, stage: Stage): Promise<Place> {
  const { case: one } = stage;
  const stays = await whatStays(stage);
  const steady = (state: Snapshot): Snapshot => ({
    ...state,
    // A bridge's is that of one of its ports.
    links: state.links.map((link) => (link.kind === 'bridge' ? { ...link, mac: undefined } : link)),
  });
  const failedAdd = command === 'ADD' && next === undefined;
  const strip = (host: Snapshot) => (failedAdd ? without(stays, one, { host }) : { host });
  if (next === 'GC') {
    // What stands before it in the chain goes with each container.
    const before = steady(stage.look());
    return {
      attachment: (at) => stage.attach(`c${at}`),
      expectClean: (story) =>
        stage.settled(() => expect(strip(steady(stage.look())), story).toEqual(strip(before))),
    };
  }
  const { given, container } = stage.attach('c1');
  const look = () => {
    const { host, container: inside } = stage.both(container);
    return {
      ...strip(steady(host)),
      container: omit(inside, one.leavesInContainer?.members),
    };
  };
  const before = look();
  return {
    attachment: (at) => ({ container, given: { ...given, containerId: `c${at}` } }),
    expectClean: (story) => stage.settled(() => expect(look(), story).toEqual(before)),
  };
}

/** One fault. `reached`: there was a change for it; `story`: what happened, for who reads the failure. */
async function attempt(
  sweep: Sweep,
  stage: Stage,
  { given, container }: Attachment,
  at: number,
): Promise<{ reached: boolean; answer: Answer; story: string }> {
  const { command, mode, next } = sweep;
  const known = command === 'ADD' ? given : await added(stage, given);
  const answer = await callUnder(stage, command, known, mode, at);
  const reached = answer.changes.length >= at;
  const story = `${mode} at change ${at} of ${command}, ${answer.changes[at - 1] ?? 'which there is none of'}; answer ${answer.status}: ${answer.stdout}`;
  expectAnswer(answer, sweep, reached, story);
  if (command === 'DEL') {
    await stage.succeed('DEL', known);
  } else if (answer.status === 0) {
    // A change that may fail without harm (a setting that merely helps) leaves a complete attachment behind.
    const complete = { ...given, prevResult: answer.result };
    await stage.succeed('CHECK', complete);
    await stage.succeed('DEL', complete);
  } else if (next === 'DEL') {
    await stage.succeed('DEL', given);
  }
  if (next === 'GC') {
    container.remove();
    age(stage.host.dir);
    await stage.succeed('GC', stage.base, { 'cni.dev/valid-attachments': [] });
  }
  return { reached, answer, story };
}

/** An hour passes for what stands in a folder: a file that is new may still be written, and GC leaves it. */
function age(folder: string): void {
  const then = Date.now() / 1000 - 3600;
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    lutimesSync(join(folder, path), then, then);
  }
}

async function added(stage: Stage, given: Given): Promise<Given> {
  const { result } = await stage.succeed('ADD', given);
  return { ...given, prevResult: result };
}

function callUnder(
  stage: Stage,
  command: Command,
  given: Given,
  mode: FaultMode,
  at: number,
): Promise<Answer> {
  const config = { ...stage.config(), ...stage.case.runtime?.(given.containerId ?? '') };
  return call(stage.plugin, command, { ...given, config, fault: { mode, at } });
}

/** Whatever happens, a plugin answers as the protocol says, unless it was killed. */
function expectAnswer(answer: Answer, { mode, command }: Sweep, reached: boolean, story: string): void {
  expect(answer.status, `${story}: it hangs`).not.toBe(injectorStatus.hung);
  if (!reached) {
    expect(answer.status, `nothing was injected, and it fails: ${story}`).toBe(0);
    return;
  }
  if (mode === 'kill') return;
  expect([0, 1], `${story} ${answer.stderr}`).toContain(answer.status);
  if (answer.status === 0) return;
  expect(answer.error?.msg, `${story} ${answer.stderr}`).toBeTruthy();
  if (mode === 'term') expect(answer.error?.code, story).toBe(11);
  // An undo that fails too is told in the message; here nothing is in its way.
  if (command === 'ADD') expect(answer.stdout, story).not.toMatch(/could not undo/);
}
