/** Freed addresses rest before somebody else gets them: neighbours, switches and connection tracking forget the former
 *  owner meanwhile. They stand in the file `resting` of the network's folder of reservations, a line for each,
 *  `‹address› ‹seconds since 1970›`, the one that was freed first at the top. cluster-pool writes it under the folder's lock;
 *  the agent reads when the last address of a block was freed. */

/** Name of the file. */
export const restingFile = 'resting';

export interface RestingAddress {
  /** As formatIp writes it. */
  readonly name: string;
  /** When it was freed, in seconds since 1970. */
  readonly since: number;
}

/** One line of it, as it is appended. */
export function restingLine({ name, since }: RestingAddress): string {
  return `${name} ${since}\n`;
}

/** What stands in a line; undefined for one that was taken out (blanks) or is damaged. */
export function parseRestingLine(line: string): RestingAddress | undefined {
  const blank = line.indexOf(' ');
  if (blank <= 0) return undefined;
  const since = Number(line.slice(blank + 1));
  return Number.isSafeInteger(since) && since > 0 ? { name: line.slice(0, blank), since } : undefined;
}

/** All of the file, oldest first. */
export function parseResting(text: string): RestingAddress[] {
  return text.split('\n').flatMap((line) => parseRestingLine(line) ?? []);
}

/** Whether that is over. A clock that went back counts as a rest: else an address would wait for as long as it went back. */
export function hasRested(since: number, cooldown: number, now: number): boolean {
  return since > now || now - since >= cooldown;
}
