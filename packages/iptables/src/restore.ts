import { written } from '@cni-ts/nftables/transaction';
import { type Family, IptablesError, programName, requireProgram, runProgram } from './program.ts';
import { joinWords } from './words.ts';

/**
 * One command of iptables-restore, as a value. Rules are written as iptables-save prints them (`-s 10.1.2.2/32`,
 * `-p tcp -m tcp --dport 80`), so that they can be compared with what is there.
 */
export interface IptablesChange {
  readonly line: string;
}

export type IptablesTableName = 'nat' | 'filter' | 'mangle' | 'raw';

/** Creates a user chain; the whole restore fails if it is there. */
export function createChain(chain: string): IptablesChange {
  return { line: `-N ${chain}` };
}

/** Creates a user chain, or empties it if it is there. Not for built-in chains: it would set their policy. */
export function resetChain(chain: string): IptablesChange {
  return { line: `:${chain} - [0:0]` };
}

/** Of a chain that is there. */
export function flushChain(chain: string): IptablesChange {
  return { line: `-F ${chain}` };
}

/** Of an empty chain that no rule jumps to. */
export function deleteChain(chain: string): IptablesChange {
  return { line: `-X ${chain}` };
}

export function appendRule(chain: string, words: readonly string[]): IptablesChange {
  return { line: `-A ${chain} ${joinWords(words)}` };
}

/** As the chain's first rule. */
export function insertRule(chain: string, words: readonly string[]): IptablesChange {
  return { line: `-I ${chain} 1 ${joinWords(words)}` };
}

/** The whole restore fails if there is no such rule. */
export function deleteRule(chain: string, words: readonly string[]): IptablesChange {
  return { line: `-D ${chain} ${joinWords(words)}` };
}

/**
 * Makes the changes of one family with one process; a table's are made all or none. `--noflush` leaves everything
 * else alone, `--wait` queues behind other users of the lock. No changes: no process. `program`: another restore
 * program than the one in PATH.
 */
export function restore(
  family: Family,
  tables: Partial<Record<IptablesTableName, readonly IptablesChange[]>>,
  program?: string,
): void {
  const lines: string[] = [];
  for (const [table, changes] of Object.entries(tables)) {
    if (!changes.length) continue;
    // Declarations must stand before all commands.
    const declarations = changes.filter(({ line }) => line.startsWith(':'));
    const commands = changes.filter(({ line }) => !line.startsWith(':'));
    lines.push(`*${table}`, ...[...declarations, ...commands].map(({ line }) => line), 'COMMIT');
  }
  if (!lines.length) return;
  const file = program ?? requireProgram(programName(family, 'restore'));
  try {
    runProgram(file, ['--noflush', '--wait'], `${lines.join('\n')}\n`);
    for (const changes of Object.values(tables)) {
      written.transactions += changes.length ? 1 : 0;
      written.elements += changes.length;
    }
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error;
    const line = lines[Number(/line:? (\d+)/.exec(error.message)?.[1]) - 1];
    if (line === undefined) throw error;
    throw new IptablesError(`${error.message} (the line is: ${line})`, error.status, error.cause);
  }
}

/**
 * Runs work that first reads tables and then takes out what it found, again if a program failed: somebody else may have
 * taken the same out in between, on which the whole restore fails.
 */
export function retryOvertaken<T>(work: () => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      return work();
    } catch (error) {
      const ran = error instanceof IptablesError && error.status !== undefined;
      if (!ran || attempt === 5) throw error;
    }
  }
}
