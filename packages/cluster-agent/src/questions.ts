/** What comes in by the socket, before it is believed. */
import type { Question } from '@cni-ts/cluster/agent-talk';
import { ErrorCode } from '@cni-ts/spec/cni-error';
import * as z from 'zod/mini';
import { Refused } from './refusal.ts';

const text = z.string().check(z.minLength(1), z.maxLength(1024));
const range = z.object({
  start: text,
  end: text,
  subnet: text,
  exclude: z.array(text).check(z.maxLength(1000)),
});
const ranges = z.array(range).check(z.minLength(1), z.maxLength(100));
/** As CNI has the name of a network: it is the name of a file, too. */
const network = z.string().check(z.maxLength(200), z.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/));

export const etcdSchema = z.object({
  endpoints: z.array(text).check(z.minLength(1), z.maxLength(20)),
  username: z.optional(text),
  password: z.optional(z.string()),
  keyFile: z.optional(text),
  certFile: z.optional(text),
  caFile: z.optional(text),
});

const ofNetwork = {
  network,
  space: text,
  folder: z.string().check(z.maxLength(1024), z.startsWith('/')),
  prefix: z.optional(text),
  etcd: z.optional(etcdSchema),
  cooldown: z.number().check(z.minimum(0), z.maximum(86_400)),
};

const reservation = z.object({ address: text, containerId: text, ifname: text, podRef: z.string() });
const schema = z.discriminatedUnion('ask', [
  z.object({
    ask: z.literal('block'),
    ...ofNetwork,
    ranges,
    blockLength: z.optional(z.number().check(z.int(), z.minimum(0), z.maximum(128))),
    now: z.boolean(),
  }),
  z.object({
    ask: z.literal('pin'),
    ...ofNetwork,
    ranges,
    owner: text,
    address: z.optional(text),
    sticky: z.boolean(),
  }),
  z.object({ ask: z.literal('confirm'), ...ofNetwork }),
  z.object({ ask: z.literal('status'), network: z.optional(network) }),
  z.object({ ask: z.literal('spaces'), space: z.optional(text), network: z.optional(network) }),
  z.object({ ask: z.literal('fence'), node: text, off: z.boolean() }),
  z.object({
    ask: z.literal('import'),
    ...ofNetwork,
    reservations: z.array(reservation).check(z.maxLength(100_000)),
    yes: z.boolean(),
  }),
]);

/** Throws Refused. */
export function readQuestion(line: string): Question {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw new Refused('a question is one line of JSON, and this is none', '', ErrorCode.decodingFailure);
  }
  const read = schema.safeParse(json);
  // reason: the same but for what exactOptionalPropertyTypes makes of zod's optional members
  if (read.success) return read.data as Question;
  const [first] = read.error.issues;
  const where = first?.path.join('.') ?? '';
  throw new Refused(
    `the question is not understood: ${where === '' ? '' : `"${where}": `}${first?.message ?? ''}`,
    'plugin and agent should be of one release',
    ErrorCode.decodingFailure,
  );
}
