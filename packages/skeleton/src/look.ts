/** What the protocol asks about a file: which one it is, and whether it is a regular one. */
export interface Seen {
  readonly dev: number;
  readonly ino: number;
  readonly isFile: boolean;
}

/** Looks at a path, links followed; undefined when it cannot be looked at, for whatever reason. */
export type Look = (path: string) => Seen | undefined;

/** By the runtime's own node:fs, which is not imported above: where a program has a cheaper way, it is never loaded. */
export const lookWithNode: Look = (path) => {
  try {
    const { statSync } = process.getBuiltinModule('node:fs');
    const seen = statSync(path, { throwIfNoEntry: false });
    return seen && { dev: seen.dev, ino: seen.ino, isFile: seen.isFile() };
  } catch {
    // ENOTDIR, EACCES, ELOOP, ENAMETOOLONG: whoever needs the file meets the failure itself.
    return undefined;
  }
};
