/** Whose code is in what we build, and under what terms: read from esbuild's own list of what went into the bundles, so
 *  that a new dependency is not forgotten. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A package of npm's whose code is in a bundle. */
export interface Foreign {
  readonly name: string;
  /** The file with its licence's text. */
  readonly file: string;
}

/** The packages that these sources (paths relative to `root`) belong to, each once, by name. Throws when one has no
 *  licence that could be handed on. */
export function foreignPackages(sources: readonly string[], root: string): Foreign[] {
  const folders = new Map<string, string>();
  for (const source of sources) {
    // The last one: packages have packages of their own.
    const found = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source);
    if (found?.[1]) folders.set(found[1], join(root, found[0]));
  }
  return [...folders]
    .map(([name, folder]) => ({ name, file: join(folder, licenceIn(name, folder)) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function licenceIn(name: string, folder: string): string {
  const file = readdirSync(folder).find((entry) =>
    /^(licen[cs]e|copying)(\.(md|txt|markdown))?$/i.test(entry),
  );
  if (file) return file;
  const { license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  throw new Error(
    `${name} (${license ?? 'no licence named'}) is in the bundles and has no file with its licence's text`,
  );
}

/** How its licence is called in dist/licences: `zod`, `scope-name` for `@scope/name`. */
export function licenceName({ name }: Foreign): string {
  return name.replace(/^@/, '').replace('/', '-');
}
