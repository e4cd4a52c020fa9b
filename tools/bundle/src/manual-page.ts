/** dist/man/cnitool.8: cnitool's page of the manual. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { manualPage } from '@cni-ts/cli/manual-page';
import { workspaceRoot } from './workspace.ts';

export const manualFile = 'dist/man/cnitool.8';

/** Its text, with the version and the date of CHANGELOG.md's first release: the same sources give the same bytes. */
export function manualPageText(
  changelog = readFileSync(join(workspaceRoot, 'CHANGELOG.md'), 'utf8'),
): string {
  const [, version = '', date = ''] = /^## (\S+) \((\d{4}-\d\d-\d\d)\)$/m.exec(changelog) ?? [];
  return manualPage({ version, date });
}

/** Writes it below `root`. */
export function writeManualPage(root: string = workspaceRoot): void {
  const file = join(root, manualFile);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, manualPageText());
}
