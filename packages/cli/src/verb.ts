/** What a command of cnitool is, and what it is given. */
import type { Environment } from '@cni-ts/libcni/environment';
import type { Operations } from '@cni-ts/libcni/operations';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Option } from './command-line.ts';

/** It could not look at what it was asked about: the tool ends with 3. */
export class CannotLookError extends Error {}

/** How the tool was called is wrong: it ends with 2. */
export class UsageError extends Error {}

/** One way to call a command, for its help and its page of the manual. */
export interface Example {
  /** The whole line, as one types it. */
  readonly call: string;
  /** What it is good for, in a few words. */
  readonly about: string;
}

export interface Verb {
  readonly about: string;
  /** Called by shells, not by people: help does not tell of it. */
  readonly hidden?: true;
  /** Shown by `help`; the first is the most usual. */
  readonly examples?: readonly Example[];
  /** Names of the arguments; all of them must be given, and no others unless it `takes` more. */
  readonly needs: readonly string[];
  /** How many of them are enough, where it does nothing with the last: the reference tool wants them all the same. */
  readonly least?: number;
  /** With one of these options none of them is needed. */
  readonly freeWith?: readonly string[];
  /** Any number of arguments after those. */
  readonly takes?: string;
  /** What the first argument may be, where it is one of a few: shells offer them. */
  readonly words?: readonly string[];
  /** Besides those that every command has. */
  readonly options?: readonly Option[];
  /** Changes something, so a signal is to end it between two steps and not in the middle of one. */
  readonly holdsSignals?: true;
  /** Asks plugins what only ours answer, so that those of another build of ours are called here as well. */
  readonly callsKin?: true;
  /** What goes to stdout at the end. */
  run(call: VerbCall): Promise<string>;
}

export interface VerbCall {
  /** The values of an option; undefined where it was not given, [''] for one that has none. */
  options(name: string): readonly string[] | undefined;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly runtime: Operations;
  /** A line of what was done, at once: it stays true when something fails afterwards. */
  say(line: string): void;
  /** A line on stderr. */
  note(line: string): void;
  /** What the tool ends with, where it is not 0 although the command did what it should. */
  ends(status: number): void;
  /** Name of the signal that asked to stop; only where the command holds signals. */
  stopped(): Promise<string | undefined>;
  /** Whether a plugin's program is ours, of this build or of another. */
  isOurs(program: string): boolean;
  /** The plugins that are part of this very program. */
  readonly plugin: (type: string) => Plugin | undefined;
  /** The names this very program can be installed under; undefined where it is none that can be. */
  readonly names: (() => readonly string[]) | undefined;
  /** The folder this program is in; undefined where that is not known. */
  readonly folder: (() => string | undefined) | undefined;
}
