import type { Drift } from './resource.ts';

/** One difference that makes all others not worth telling. */
export function hiding(text: string): Drift[] {
  return [{ text, hides: true }];
}

/** Turns the list of what CHECK found wrong into the one error it answers with. The first comes first, in its known
 *  words; the others follow, so that an operator need not repair and check one by one. */
export function failOn(drift: readonly string[]): void {
  if (drift.length === 0) return;
  const [first, ...others] = drift;
  throw new Error(others.length === 0 ? first : `${first} (and ${others.length} more: ${others.join('; ')})`);
}
