/** Where this machine's apt takes Debian's packages from, for a system of another release. No address of an archive
 *  stands in the repository: a machine may have a mirror of its own. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Failure } from '@cni-ts/setup/command-line';

/** One source of the machine, for one release. */
export interface Source {
  readonly uri: string;
  /** `trixie`, `trixie-updates`, `trixie-security`. */
  readonly suites: readonly string[];
}

/** The key ring that every release has under this name. */
export const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * The sources of Debian's own packages in a folder like /etc/apt, with `release` in place of the machine's own
 * (`codename`). Those of others are left out: their keys are not in a fresh system. Throws when there is none.
 */
export function sourcesFor(release: string, codename: string, folder = '/etc/apt'): Source[] {
  const files = [join(folder, 'sources.list'), ...globSync(join(folder, 'sources.list.d/*.{list,sources}'))];
  const found = files
    .filter((file) => existsSync(file))
    .flatMap((file) => {
      const text = readFileSync(file, 'utf8');
      return basename(file).endsWith('.sources') ? stanzas(text) : lines(text);
    });
  const sources = found
    .map(({ uri, suites }) => ({
      uri,
      suites: suites
        .filter((suite) => suite === codename || /^-(updates|security)$/.test(suite.slice(codename.length)))
        .filter((suite) => suite.startsWith(codename))
        .map((suite) => release + suite.slice(codename.length)),
    }))
    .filter(({ suites }) => suites.length > 0);
  if (!sources.some(({ suites }) => suites.includes(release))) {
    throw new Failure(
      `${folder} names no archive of Debian's packages for ${codename}: the system is made from there`,
    );
  }
  return sources;
}

/** As a file of /etc/apt/sources.list.d. */
export function sourcesText(sources: readonly Source[]): string {
  return sources
    .map(
      ({ uri, suites }) =>
        `Types: deb\nURIs: ${uri}\nSuites: ${suites.join(' ')}\nComponents: main\nSigned-By: ${keyring}\n`,
    )
    .join('\n');
}

const ours = (signedBy: string | undefined) => !signedBy || signedBy.includes('debian-archive');

function stanzas(text: string): Source[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(stanza)?.[1]?.trim();
    const words = (name: string) => field(name)?.split(/\s+/) ?? [];
    if (!words('Types').includes('deb') || field('Enabled') === 'no' || !ours(field('Signed-By'))) return [];
    if (!words('Components').includes('main')) return [];
    return words('URIs')
      .slice(0, 1)
      .map((uri) => ({ uri, suites: words('Suites') }));
  });
}

/** `deb [options] uri suite component…`. */
function lines(text: string): Source[] {
  return text.split('\n').flatMap((line) => {
    const [, options, uri, suite, components] =
      /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (!uri || !suite || !components?.split(/\s+/).includes('main')) return [];
    return ours(/signed-by=(\S+)/.exec(options ?? '')?.[1]) ? [{ uri, suites: [suite] }] : [];
  });
}
