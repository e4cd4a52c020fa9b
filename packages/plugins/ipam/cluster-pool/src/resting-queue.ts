/** The freed addresses of a network that rest before they are given again (resting.ts of cluster). Everything happens under
 *  the folder's lock. */
import {
  hasRested,
  parseRestingLine,
  type RestingAddress,
  restingFile,
  restingLine,
} from '@cni-ts/cluster/resting';
import {
  closeFile,
  openFlags,
  openRegular,
  readToEnd,
  replaceRegular,
  textOf,
  writeAt,
  writeWhole,
} from '@cni-ts/libc/file';
import { isMissing } from '@cni-ts/libc/syscall-error';

/** So much of what was taken out may stay at the top, blank, before the file is written anew. */
const mostBlank = 1024;

/** Adds one to the end. */
export function putToRest(folder: string, name: string): void {
  const path = `${folder}/${restingFile}`;
  const fd = openRegular(path, openFlags.writeOnly | openFlags.create | openFlags.append, 0o600);
  try {
    writeWhole(fd, new TextEncoder().encode(restingLine({ name, since: seconds() })), path);
  } finally {
    closeFile(fd);
  }
}

export class RestingQueue {
  readonly #path: string;
  readonly #cooldown: number;
  readonly #now = seconds();
  #text: string;
  /** Whether a character is a byte, so that a place in the text is one in the file. */
  readonly #isPlain: boolean;

  private constructor(path: string, cooldown: number, bytes: Uint8Array) {
    this.#path = path;
    this.#cooldown = cooldown;
    this.#text = textOf(bytes);
    this.#isPlain = this.#text.length === bytes.length;
  }

  /** `cooldown`: in seconds. `isGlance`: the file is not made where it is missing. (Made at the first ADD, since a file that
   *  is not there costs each ADD more than one that is empty.) */
  static of(folder: string, cooldown: number, isGlance: boolean): RestingQueue {
    const path = `${folder}/${restingFile}`;
    const { readOnly, create } = openFlags;
    let fd: number;
    try {
      fd = openRegular(path, isGlance ? readOnly : readOnly | create, 0o600);
    } catch (error) {
      if (!isMissing(error)) throw error;
      return new RestingQueue(path, cooldown, new Uint8Array(0));
    }
    try {
      return new RestingQueue(path, cooldown, readToEnd(fd, path));
    } finally {
      closeFile(fd);
    }
  }

  get isEmpty(): boolean {
    return this.#text === '';
  }

  /** Whether it is in the file at all, rested or not. */
  has(name: string): boolean {
    return this.#placeOf(name) >= 0;
  }

  /** The first of those that have rested that `accept` takes, oldest first. */
  rested(accept: (name: string) => boolean): string | undefined {
    const text = this.#text;
    // What was taken out at the top is passed over in one step.
    for (let at = text.length - text.trimStart().length; at < text.length; ) {
      const end = endOfLine(text, at);
      const one = parseRestingLine(text.slice(at, end));
      at = end + 1;
      if (!one) continue;
      if (!hasRested(one.since, this.#cooldown, this.#now)) return undefined; // those below were freed later
      if (accept(one.name)) return one.name;
    }
    return undefined;
  }

  /** Seconds until the first one has rested; undefined where none rests. */
  get nextIn(): number | undefined {
    let soonest: number | undefined;
    for (const { since } of this.#all()) {
      const left = hasRested(since, this.#cooldown, this.#now) ? 0 : since + this.#cooldown - this.#now;
      if (soonest === undefined || left < soonest) soonest = left;
    }
    return soonest;
  }

  /** Takes it out of the file. */
  remove(name: string): void {
    const at = this.#placeOf(name);
    if (at < 0) return;
    const end = endOfLine(this.#text, at);
    this.#text = `${this.#text.slice(0, at)}${' '.repeat(end - at)}${this.#text.slice(end)}`;
    const kept = this.#text.trimStart();
    if (!this.#isPlain || this.#text.length - kept.length > mostBlank) {
      this.#text = kept;
      replaceRegular(this.#path, kept, 0o600);
      return;
    }
    const fd = openRegular(this.#path, openFlags.writeOnly);
    try {
      writeAt(fd, new TextEncoder().encode(' '.repeat(end - at)), at);
    } finally {
      closeFile(fd);
    }
  }

  *#all(): Generator<RestingAddress> {
    for (const line of this.#text.split('\n')) {
      const one = parseRestingLine(line);
      if (one) yield one;
    }
  }

  #placeOf(name: string): number {
    if (this.#text === '') return -1;
    if (this.#text.startsWith(`${name} `)) return 0;
    const found = this.#text.indexOf(`\n${name} `);
    return found < 0 ? -1 : found + 1;
  }
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}
