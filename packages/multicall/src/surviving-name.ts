/**
 * Which plugin the program is where its name alone does not say: installers prefix names (`cnv-bridge`), wrappers put
 * the program aside (`bridge.real`), upgrades number it (`bridge-v2`). Looked at only then: a program called by a name
 * of its own has nothing to find out.
 */
import { readLink } from '@cni-ts/libc/file';
import { programMark } from '@cni-ts/libc/program-file';
import { calledAs } from './called-as.ts';

/** What of the process is looked at; tests say it themselves. */
export interface Traces {
  /** Where a symbolic link leads; undefined for what is none. */
  readonly readLink: (path: string) => string | undefined;
  /** The name that is written in the program's file, '' for none. */
  readonly mark: () => string;
}

const ofThisProcess: Traces = { readLink, mark: () => programMark()?.plugin ?? '' };

/**
 * By what the program is called that goes by `names`: one of them as a part between separators; else, and where several
 * could be meant, the same of what the name is a link to; else what `cnitool install` wrote into the file. Undefined
 * where nothing tells.
 */
export function survivingName(
  argv0: string,
  names: readonly string[],
  traces: Traces = ofThisProcess,
): string | undefined {
  return nameIn(calledAs(argv0), names) ?? nameOfTarget(argv0, names, traces) ?? markedName(names, traces);
}

/** As many links in a row as the kernel follows. */
const mostLinks = 40;

function nameOfTarget(argv0: string, names: readonly string[], { readLink }: Traces): string | undefined {
  let path = argv0.includes('/') ? argv0 : undefined;
  for (let links = 0; path !== undefined && links < mostLinks; links++) {
    const target = readLink(path);
    const found = target === undefined ? undefined : nameIn(calledAs(target), names);
    if (found !== undefined) return found;
    path = target?.startsWith('/') === false ? `${folderOf(path)}${target}` : target;
  }
  // Whatever argv[0] says, the kernel knows which file it is.
  const file = readLink('/proc/self/exe');
  return file === undefined ? undefined : nameIn(calledAs(file), names);
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

function markedName(names: readonly string[], { mark }: Traces): string | undefined {
  const name = mark();
  return names.includes(name) ? name : undefined;
}

/** The one of `names` that is a part of this one; undefined for none, and for several. Of `host-local` and `local`
 *  the longer is meant where both fit. */
export function nameIn(name: string, names: readonly string[]): string | undefined {
  const found = names.filter((own) => hasPart(name, own));
  const meant = found.filter((own) => !found.some((other) => other !== own && hasPart(other, own)));
  return meant.length === 1 ? meant[0] : undefined;
}

/** Whether `part` stands in the name from one separator, or end, to another. */
function hasPart(name: string, part: string): boolean {
  const lower = name.toLowerCase();
  for (let at = lower.indexOf(part); at >= 0; at = lower.indexOf(part, at + 1)) {
    if (isSeparator(lower, at - 1) && isSeparator(lower, at + part.length)) return true;
  }
  return false;
}

function isSeparator(name: string, at: number): boolean {
  return at < 0 || at >= name.length || !/[a-z0-9]/.test(name.charAt(at));
}
