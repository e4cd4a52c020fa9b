/** How long to wait for an answer before the same is sent again. Milliseconds. */
import type { Client4Config } from './client4-state.ts';

/** RFC 2131, section 4.1: 4 s first, give or take one. */
const first4 = 4000;
/** A port that spanning tree holds back is silent for up to 50 s; the first answer after that must not wait long. */
const longest4 = 16_000;
const jitter4 = 1000;
/** Half of what is left is waited while a lease is renewed; longer than this only with time to spare. */
const doublings = 20;

/** The first wait, which the configuration may shorten. */
function firstWait(config: Client4Config): number {
  return Math.max(1, Math.min(first4, config.timeout));
}

/** While acquiring, after the n-th send (from 1): doubled each time. */
export function acquireWait4(config: Client4Config, sends: number, random: () => number): number {
  const first = firstWait(config);
  const longest = Math.max(first, Math.min(longest4, config.resendMax));
  return around(Math.min(first * 2 ** Math.min(sends - 1, doublings), longest), random);
}

/** While a lease is renewed or rebound: doubled each time, but not above half of what is left (RFC 2131, section 4.4.5),
 *  of which the last is cut off by what comes then. */
export function renewWait4(config: Client4Config, sends: number, left: number, random: () => number): number {
  const first = firstWait(config);
  const doubled = first * 2 ** Math.min(sends - 1, doublings);
  return around(Math.min(doubled, Math.max(first, left / 2)), random);
}

/** After a server said no, before all begins anew: 2 s four times, then up to 16. */
export function pauseAfter4(config: Client4Config, failures: number, random: () => number): number {
  const base = failures <= 4 ? 2000 : Math.min(8000 * 2 ** Math.min(failures - 5, doublings), longest4);
  return around(Math.min(base, 4 * firstWait(config)), random);
}

/** Clients that were started together do not stay together. */
function around(wait: number, random: () => number): number {
  return Math.round(wait + (2 * random() - 1) * Math.min(jitter4, wait / 4));
}

/** RFC 8415, section 15. `previous` 0 is before the first wait; `longest` 0 is no limit. With `above`, the first wait is
 *  longer than `initial`, never shorter, as a Solicit's must be. */
export function nextWait6(
  previous: number,
  initial: number,
  longest: number,
  random: () => number,
  above = false,
): number {
  const rand = previous === 0 && above ? 0.1 * (1 - random()) : 0.2 * random() - 0.1;
  const wait = previous === 0 ? initial + rand * initial : 2 * previous + rand * previous;
  return Math.round(longest !== 0 && wait > longest ? longest + rand * longest : wait);
}
