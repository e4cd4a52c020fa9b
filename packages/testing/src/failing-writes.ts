/** The promises about a kernel that refuses something, of sources: each write is made to fail in turn. Those of
 *  executables are in fault-sweep.ts. */
import { isDeepStrictEqual } from 'node:util';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { expect } from 'vitest';
import { type Answer, type Command, call } from './call.ts';
import type { OnStage } from './fault-sweep.ts';
import { omit, whatStays, without } from './lasting-state.ts';
import { snapshot } from './snapshot.ts';
import type { Given, Stage } from './stage.ts';

export async function failingAdds(on: OnStage): Promise<void> {
  let stays: ReadonlySet<string> = new Set();
  await on(async (stage) => {
    stays = await whatStays(stage);
  });
  let writes = 0;
  for (let more = true; more; ) {
    await on(async (stage) => {
      const { given, container } = stage.attach('c1');
      const strip = (states: ReturnType<typeof stage.both>) => without(stays, stage.case, states);
      const before = stage.both(container);
      // Where the failed ADD left nothing at all, not even what may stay, the next write fails on the same host.
      for (let untouched = true; untouched && more; ) {
        writes++;
        const { answer, failed } = await failingAt(writes, stage, 'ADD', given);
        more = failed !== undefined;
        // A write that may fail without harm (a setting that merely helps) leaves a complete attachment behind.
        if (answer.status === 0) {
          await stage.succeed('CHECK', { ...given, prevResult: answer.result });
          return;
        }
        const story = `failed at write ${writes}, ${failed}: ${answer.stdout}`;
        let after = before;
        await stage.settled(() => {
          after = stage.both(container);
          expect(strip(after), story).toEqual(strip(before));
        });
        untouched = isDeepStrictEqual(after, before);
      }
    });
  }
  expect(writes, 'no kernel write was seen: the fault hook is not in the way').toBeGreaterThan(1);
}

/** One attachment after the other on one host, which must be as before after each. */
export async function failingDels(stage: Stage): Promise<void> {
  await stage.warmUp();
  let failed: string | undefined;
  let nth = 0;
  do {
    nth++;
    const { given, container } = stage.attach(`c${nth}`);
    const look = () => ({
      host: stage.look(),
      container: omit(snapshot(container.netns), stage.case.leavesInContainer?.members),
    });
    const before = look();
    const { result } = await stage.succeed('ADD', given);
    const known = { ...given, prevResult: result };
    const first = await failingAt(nth, stage, 'DEL', known);
    failed = first.failed;
    await stage.succeed('DEL', known);
    const story = `failed at write ${nth}, ${failed}: ${first.answer.stdout || 'DEL succeeded all the same'}`;
    await stage.settled(() => expect(look(), story).toEqual(before));
    await stage.ending(container, container.remove);
  } while (failed !== undefined);
}

/** Calls the plugin while its n-th kernel write fails; `failed` names it, undefined when there were fewer. */
async function failingAt(
  nth: number,
  { plugin, config }: Stage,
  command: Command,
  given: Given,
): Promise<{ answer: Answer; failed: string | undefined }> {
  let failed: string | undefined;
  let count = 0;
  onKernelWrite((name) => {
    if (++count !== nth) return;
    failed = name;
    throw new SyscallError(name, 'EIO', 'injected');
  });
  try {
    return { answer: await call(plugin, command, { ...given, config: config() }), failed };
  } finally {
    onKernelWrite(undefined);
  }
}
