import { hasLegacyTable } from './legacy-table.ts';
import { type Family, findVariant, programName, requireProgram, runProgram } from './program.ts';
import type { IptablesTableName } from './restore.ts';
import { joinWords, splitWords } from './words.ts';

/** A rule as iptables-save prints it. */
export interface SavedRule {
  readonly chain: string;
  /** Everything after the chain's name. */
  readonly words: readonly string[];
  /** The words as one line: what to compare. */
  readonly text: string;
}

export interface SavedTable {
  readonly chains: readonly string[];
  readonly rules: readonly SavedRule[];
  /** Of the built-in chains: what becomes of packets that no rule decides about. */
  readonly policies: Readonly<Record<string, 'accept' | 'drop'>>;
}

/** Reads one table with one process. A table that is not there is empty. */
export function save(family: Family, table: IptablesTableName, program?: string): SavedTable {
  const file = program ?? requireProgram(programName(family, 'save'));
  return parseSaved(runProgram(file, ['-t', table]));
}

export function parseSaved(text: string): SavedTable {
  const chains: string[] = [];
  const rules: SavedRule[] = [];
  const policies: Record<string, 'accept' | 'drop'> = {};
  for (const line of text.split('\n')) {
    if (line.startsWith(':')) {
      const [name = '', policy] = line.slice(1).split(' ');
      chains.push(name);
      if (policy === 'ACCEPT' || policy === 'DROP') policies[name] = policy === 'DROP' ? 'drop' : 'accept';
    }
    if (!line.startsWith('-A ')) continue;
    const [, chain = '', ...words] = splitWords(line);
    rules.push({ chain, words, text: joinWords(words) });
  }
  return { chains, rules, policies };
}

/** The table of the older kind, if it is there and a program can read it. */
export function legacyTable(family: Family, table: IptablesTableName): SavedTable | undefined {
  if (!hasLegacyTable(family, table)) return undefined;
  const program = findVariant(family, 'save', 'legacy');
  return program === undefined ? undefined : save(family, table, program);
}
