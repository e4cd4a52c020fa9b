import { type Netlink, type NetlinkRequest, Refused } from '@cni-ts/netlink/socket';
import { absent } from './chain-presence.ts';
import { NftablesError } from './transaction.ts';

/**
 * A look-up as a value, made by chainQuestion, setQuestion, elementQuestion, …: several are asked in one message to
 * the kernel, which costs little more than one. Nothing is listed.
 */
export interface Question<T> {
  /** In words: `look for chain inet cni masq`. */
  readonly what: string;
  readonly request: NetlinkRequest<never>;
  /** What the kernel's answer means; undefined is "not there". */
  read(found: unknown): T;
}

export function question<V, T>(
  what: string,
  request: NetlinkRequest<V>,
  read: (found: V | undefined) => T,
): Question<T> {
  // reason: questions of several types are asked together; each answer is read by the question it belongs to
  return { what, request: request as unknown as NetlinkRequest<never>, read: (found) => read(found as V) };
}

/** Questions in lists and under names, as deep as is useful. */
export type Questions = Question<unknown> | readonly Questions[] | { readonly [name: string]: Questions };

/** The answers, in the places of the questions. */
export type Answers<Q> = Q extends Question<infer T> ? T : { readonly [K in keyof Q]: Answers<Q[K]> };

/** Asks all questions at once. Throws NftablesError for what the kernel would not tell. */
export function ask<const Q extends Questions>(nl: Netlink, questions: Q): Answers<Q> {
  const all: Question<unknown>[] = [];
  collect(questions, all);
  const found = nl.getEach(all.map(({ request }) => request));
  const answers = all.map(({ what, read }, i) => {
    const answer = found[i];
    if (!(answer instanceof Refused)) return read(answer);
    if (!absent.has(answer.code)) throw new NftablesError(what, answer.error());
    return read(undefined);
  });
  return place(questions, answers.values()) as Answers<Q>; // reason: each question's place holds its own answer
}

function isQuestion(one: Questions): one is Question<unknown> {
  return 'request' in one;
}

function collect(questions: Questions, into: Question<unknown>[]): void {
  if (isQuestion(questions)) into.push(questions);
  else for (const one of Object.values(questions)) collect(one, into);
}

function place(questions: Questions, answers: Iterator<unknown>): unknown {
  if (isQuestion(questions)) return answers.next().value;
  if (Array.isArray(questions)) return questions.map((one) => place(one, answers));
  const placed: Record<string, unknown> = {};
  for (const entry of Object.entries(questions)) placed[entry[0]] = place(entry[1], answers);
  return placed;
}
