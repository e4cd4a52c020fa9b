/** The file the running program is in: whether another file is the same program, and which plugin it says it is. */
import { tryStat } from './file-status.ts';

/** The part of the compiled program's engine (packages/engine) that knows. */
interface Engine {
  sameBuild(path: string): boolean;
  mark(): readonly [offset: number, length: number, plugin: string];
}

// reason: a global that only the compiled program has
const engineIfAny = () => (globalThis as { engine?: Engine }).engine;

/** What was asked before: a file does not become another program while a short-lived one runs. */
const known = new Map<string, boolean>();

/**
 * Whether the file at this path is the running program, so that what it would do can be done here, without a process.
 * In the compiled program any file of the same build is, by the mark that the build left in it: names, copies and links
 * do not matter. Under Node, and where `self` names the program's file, it is that very file or a link to it. A program
 * that was replaced while it runs, as upgrades do, is another: then a process is right.
 */
export function isThisProgram(path: string, self?: string): boolean {
  const engine = self === undefined ? engineIfAny() : undefined;
  if (!engine) {
    const [found, running] = [tryStat(path), tryStat(self ?? process.execPath)];
    return found !== undefined && found.dev === running?.dev && found.ino === running.ino;
  }
  const before = known.get(path);
  if (before !== undefined) return before;
  const same = engine.sameBuild(path);
  known.set(path, same);
  return same;
}

/** The place in the program's file where the name of a plugin is written, and the name that is there, '' for none.
 *  Undefined under Node, whose programs have no such place. */
export interface ProgramMark {
  readonly offset: number;
  /** Bytes there are for a name. */
  readonly length: number;
  readonly plugin: string;
}

export function programMark(): ProgramMark | undefined {
  const [offset, length, plugin] = engineIfAny()?.mark() ?? [-1, 0, ''];
  return offset < 0 ? undefined : { offset, length, plugin };
}
