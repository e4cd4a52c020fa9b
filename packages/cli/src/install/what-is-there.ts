/** Whose program lies where a plugin is to be installed, and of which version. */
import { closeFile, openFile, openFlags, readAt } from '@cni-ts/libc/file';
import { statLink, tryStat } from '@cni-ts/libc/file-status';
import { runToEnd } from '@cni-ts/libc/program';
import { isThisProgram } from '@cni-ts/libc/program-file';
import { SyscallError } from '@cni-ts/libc/syscall-error';

export interface Found {
  /** Ours, the reference's, another's. */
  readonly whose: 'ours' | 'go' | 'other';
  /** '' where it does not tell. */
  readonly version: string;
  /** Of this very build. */
  readonly same: boolean;
  /** A symbolic link to it. */
  readonly isLink: boolean;
  readonly isFolder: boolean;
}

/** The name of the operator's tool among the names of programs. */
export const toolName = 'cnitool';

/**
 * What lies at `path`, where `name` belongs; undefined for nothing. Ours has a mark in its file (packages/engine). Of the
 * reference it is known by what it says of itself when it is called without a command, which takes `patienceMs` at most;
 * one that cannot be started here (for another processor, or linked with libraries of the host, seen from a container)
 * by what Go's linker writes into each program. No script is started.
 */
export function whatIsThere(path: string, name: string, patienceMs = 3000): Found | undefined {
  const link = statLink(path);
  if (link === undefined) return undefined;
  const target = tryStat(path);
  const found = (whose: Found['whose'], version = '', same = false): Found => ({
    whose,
    version,
    same,
    isLink: !link.isFile && !link.isFolder && target !== undefined,
    isFolder: link.isFolder,
  });
  if (target === undefined || !target.isFile) return found('other');
  const contents = new Contents(path);
  try {
    if (!contents.isProgram()) return found('other');
    const own = contents.find(ownMark);
    if (own !== undefined) return found('ours', own, isThisProgram(path));
    return told(path, name, patienceMs, found) ?? byContents(contents, found);
  } finally {
    contents.close();
  }
}

type Make = (whose: Found['whose'], version?: string) => Found;

function told(path: string, name: string, patienceMs: number, found: Make): Found | undefined {
  let text: string;
  try {
    const { stdout, stderr } = runToEnd(path, name === toolName ? ['--version'] : [], {}, '', patienceMs);
    text = stdout + stderr;
  } catch (error) {
    if (error instanceof SyscallError) return undefined; // it cannot be started
    throw error;
  }
  // Builds of ours that have no such mark yet.
  const own = /^(?:CNI plugin \S+|cnitool) v(\d\S*)/m.exec(text)?.[1];
  if (own !== undefined) return found('ours', own);
  const reference = /^CNI \S+ plugin (?:v|version )(\S+)/m.exec(text)?.[1];
  return reference === undefined ? undefined : found('go', knownVersion(reference));
}

function byContents(contents: Contents, found: Make): Found {
  if (contents.find(goPath) === undefined) return found('other');
  return found('go', knownVersion(contents.find(goVersion) ?? ''));
}

/** A build from a checkout says `unknown`. */
function knownVersion(text: string): string {
  return /^v?\d/.test(text) ? text.replace(/^v/, '') : '';
}

interface Needle {
  /** Looked for first, since that is quick. */
  readonly start: string;
  /** What of it is found by: a character that programs have few of. */
  readonly rare: string;
  /** What begins there, with what is wanted as its first group. */
  readonly whole: RegExp;
}

/** struct mark of packages/engine/src/engine.c: version, then the build in 32 hexadecimal digits. */
const ownMark: Needle = {
  start: 'cni-ts program v',
  rare: '-',
  whole: /^cni-ts program v(\d[^\0]{0,15})\0+[0-9a-f]{32}/,
};
const goPath: Needle = {
  start: 'path\tgithub.com/containernetworking/',
  rare: 'w',
  whole: /^(path)\tgithub\.com\/containernetworking\/(?:plugins\/plugins\/|cni\/cnitool)/,
};
const goVersion: Needle = {
  start: 'buildversion.BuildVersion=',
  rare: 'V',
  whole: /^buildversion\.BuildVersion=([\w.+-]+)/,
};

/** The bytes of a program, looked through for text. */
class Contents {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openFile(path, openFlags.readOnly);
  }

  close(): void {
    closeFile(this.#fd);
  }

  isProgram(): boolean {
    const head = new Uint8Array(4);
    return readAt(this.#fd, head, 0) === 4 && new TextDecoder().decode(head) === '\x7fELF';
  }

  find({ start, rare, whole }: Needle): string | undefined {
    const wanted = new TextEncoder().encode(start);
    const place = start.indexOf(rare);
    const byte = rare.charCodeAt(0);
    const piece = new Uint8Array(1 << 20);
    const overlap = 256;
    for (let at = 0; ; at += piece.length - overlap) {
      const got = readAt(this.#fd, piece, at);
      const bytes = piece.subarray(0, got);
      // Megabytes that are no text take long to be made one.
      for (let hit = bytes.indexOf(byte, place); hit >= 0; hit = bytes.indexOf(byte, hit + 1)) {
        if (!isAt(bytes, hit - place, wanted)) continue;
        const text = new TextDecoder().decode(bytes.subarray(hit - place, hit - place + overlap));
        const found = whole.exec(text)?.[1];
        if (found !== undefined) return found;
      }
      if (got < piece.length) return undefined;
    }
  }
}

function isAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

/** As people name it: `1.9.1 (Go)`. */
export function nameOfFound({ whose, version, isFolder }: Found): string {
  if (isFolder) return 'a folder';
  if (whose === 'other') return 'another program';
  return `${version || 'of unknown version'}${whose === 'go' ? ' (Go)' : ''}`;
}

/** Whether version `one` comes after `other`. What is not known comes before all. */
export function isNewer(one: string, other: string): boolean {
  const [a, b] = [numbersOf(one), numbersOf(other)];
  for (let at = 0; at < 3; at++) {
    const [x = 0, y = 0] = [a[at], b[at]];
    if (x !== y) return x > y;
  }
  return false;
}

function numbersOf(version: string): number[] {
  return (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number);
}
