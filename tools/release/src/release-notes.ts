import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { Failure } from '@cni-ts/setup/command-line';

export interface Release {
  readonly version: string;
  /** Seconds: the date of all that is packed. Of the sources, so that who builds them later gets the same bytes. */
  readonly date: number;
}

/** The version that the workspace has, and its date in CHANGELOG.md. Throws a Failure when that tells none. */
export function currentRelease(
  manifest = readFileSync(join(workspaceRoot, 'package.json'), 'utf8'),
  changelog = readFileSync(join(workspaceRoot, 'CHANGELOG.md'), 'utf8'),
): Release {
  const { version } = JSON.parse(manifest);
  const heading = changelog.split('\n').find((line) => line.startsWith(`## ${version} `));
  const day = /\((\d{4}-\d\d-\d\d)\)$/.exec(heading ?? '')?.[1];
  const date = Date.parse(`${day}T00:00:00Z`) / 1000;
  if (Number.isNaN(date)) {
    throw new Failure(
      `CHANGELOG.md needs a line "## ${version} (‹year›-‹month›-‹day›)": what is packed has that date`,
    );
  }
  return { version, date };
}
