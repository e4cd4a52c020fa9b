import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CodeText } from '@cni-ts/spec/code-text';
import { findingCodes } from '@cni-ts/spec/finding-codes';
import { workspaceRoot } from './workspace.ts';

const groups = [
  ['CNI1', 'Configuration'],
  ['CNI2', 'Addresses'],
  ['CNI3', 'The kernel of this node'],
  ['CNI4', 'Runtime and plugins'],
] as const;

const generated =
  '<!-- Written by `npm run build` from packages/spec/src/finding-codes.ts. Do not edit. -->\n';

/** docs/codes: a page for each code and one that lists them, by the names of their files. */
export function codePages(): Map<string, string> {
  const codes = Object.entries<CodeText>(findingCodes);
  const pages = new Map(codes.map(([code, text]) => [`${code}.md`, pageOf(code, text)]));
  const tables = groups.map(([beginning, title]) => {
    const rows = codes
      .filter(([code]) => code.startsWith(beginning))
      .map(([code, text]) => `- [${code}](${code}.md): ${lowered(text.title)}\n`);
    return `## ${title}\n\n${rows.join('')}`;
  });
  const intro =
    'What `cnitool` finds has a code that keeps its meaning. Each page says what it means, why it happens, and what to do.\n';
  pages.set('README.md', `${generated}\n# Codes\n\n${intro}\n${tables.join('\n')}`);
  return pages;
}

function pageOf(code: string, { title, meaning, why, cure }: CodeText): string {
  return `${generated}\n# ${code}: ${lowered(title)}\n\n**What it means.** ${meaning}\n\n**Why it happens.** ${why}\n\n**The cure.** ${cure}\n`;
}

/** A title goes on in a sentence. */
function lowered(title: string): string {
  return /^[A-Z][a-z ]/.test(title) ? title.charAt(0).toLowerCase() + title.slice(1) : title;
}

export const codesFolder = 'docs/codes';

/** Brings docs/codes up to date: nothing else is in that folder. */
export function writeCodePages(root: string = workspaceRoot): void {
  const folder = join(root, codesFolder);
  mkdirSync(folder, { recursive: true });
  const pages = codePages();
  for (const name of readdirSync(folder)) if (!pages.has(name)) rmSync(join(folder, name));
  for (const [name, text] of pages) {
    const path = join(folder, name);
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
  }
}
