/** What is collected: so much and no more, and within a time. Of what did not come in the manifest tells. */
import { errorText } from '@cni-ts/spec/cni-error';
import { type Masked, Masker } from './mask.ts';
import type { Member } from './tar.ts';

export interface Limits {
  /** Letters of one file; what comes after them is left out. */
  readonly file: number;
  /** Letters of all. */
  readonly whole: number;
  readonly files: number;
  /** Milliseconds, after which no further part is begun. */
  readonly time: number;
}

export const usualLimits: Limits = { file: 512 * 1024, whole: 32 * 2 ** 20, files: 5000, time: 30_000 };

export class Bag {
  readonly masker: Masker;
  readonly #limits: Limits;
  readonly #started = performance.now();
  readonly #members = new Map<string, string>();
  readonly #leftOut: string[] = [];
  #size = 0;

  constructor(masker: Masker = new Masker(), limits: Limits = usualLimits) {
    this.masker = masker;
    this.#limits = limits;
  }

  /** A part of the whole: where it fails the others come all the same, and why it failed comes too. */
  async part(name: string, work: () => void | Promise<void>): Promise<void> {
    if (performance.now() - this.#started > this.#limits.time) {
      this.leftOut(`${name}: the time was over`);
      return;
    }
    try {
      await work();
    } catch (error) {
      this.leftOut(`${name}: ${errorText(error)}`);
    }
  }

  get isFull(): boolean {
    return this.#members.size >= this.#limits.files || this.#size >= this.#limits.whole;
  }

  leftOut(why: string): void {
    if (this.#leftOut.length < 1000) this.#leftOut.push(why);
  }

  /** A file's text, masked. */
  text(name: string, text: string): void {
    this.#put(name, this.masker.text(name, text));
  }

  /** What was computed here: its keys are ours, so only what was found to be secret elsewhere is masked. */
  json(name: string, value: unknown): void {
    this.#put(name, `${JSON.stringify(value, asJson, 2)}\n`);
  }

  #put(name: string, text: string): void {
    if (this.isFull) {
      this.leftOut(`${name}: the archive is full`);
      return;
    }
    const { file } = this.#limits;
    if (text.length > file) this.leftOut(`${name}: what comes after ${file} of ${text.length} letters`);
    // Between two lines, so that no secret is cut in two and stays for half.
    const kept =
      text.length > file ? `${text.slice(0, Math.max(0, text.lastIndexOf('\n', file)))}\n(cut)\n` : text;
    const own = this.#freeName(name);
    this.#members.set(own, kept);
    this.#size += kept.length;
  }

  /** Of letters that every file system takes, at most 90, and given to no other. */
  #freeName(name: string): string {
    const plain = name
      .split('/')
      .map((part) => part.replace(/[^A-Za-z0-9._:@+-]/g, '_').replace(/^\.+/, '_'))
      .join('/');
    const short = plain.length <= 90 ? plain : `${plain.slice(0, 60)}…${plain.slice(-25)}`.replace('…', '__');
    let free = short;
    for (let at = 2; this.#members.has(free); at++) free = `${short}.${at}`;
    return free;
  }

  /** All of it, the manifest first. */
  members(about: Readonly<Record<string, unknown>>, folder: string): Member[] {
    const safe = [...this.#members].map(
      ([name, text]): Member => ({ name, text: this.masker.everywhere(name, text) }),
    );
    const found: readonly Masked[] = this.masker.found;
    const manifest = {
      ...about,
      files: safe.map(({ name, text }) => ({ name, letters: text.length })),
      masked: [...new Map(found.map((one) => [`${one.file} ${one.what}`, one])).values()],
      leftOut: this.#leftOut,
    };
    const text = this.masker.everywhere('manifest.json', `${JSON.stringify(manifest, asJson, 2)}\n`);
    return [{ name: 'manifest.json', text }, ...safe].map((one) => ({
      ...one,
      name: `${folder}/${one.name}`,
    }));
  }
}

/** Bytes as hex digits, and numbers that JavaScript has no place for as text. */
function asJson(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (!(value instanceof Uint8Array)) return value;
  let text = '';
  for (const byte of value) text += byte.toString(16).padStart(2, '0');
  return text;
}
