import { attributes, attributesOf, nest } from '@cni-ts/netlink/attributes';
import { holdsBytes, sameBytes, standsAt, u16At } from '@cni-ts/netlink/bytes';
import { asciiz, be32, be64, bytes, type Codec } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';
import { type Chain, chainText } from './chain.ts';
import { commentBytes, readComment, readMatchComment } from './comment.ts';
import { constant, type Expression, expression, nftExpressions, register } from './expression.ts';
import { families, messageType, type NftFamily, nfgenmsg } from './nfnetlink.ts';
import { type Table, tableText } from './table.ts';
import { type Change, change, unlessAbsent } from './transaction.ts';

const NFT_MSG_NEWRULE = 6;
const NFT_MSG_GETRULE = 7;
const NFT_MSG_DELRULE = 8;
const listAttempts = 5;

/** One part of a rule, as nft's text has it between spaces: a match, an action, a comment. */
export interface Statement {
  readonly text: string;
  compile(into: Program): void;
}

/** A rule as a value: `rule(saddr(own), daddr('!=', subnet), masquerade, comment('…'))`. */
export interface Rule {
  readonly statements: readonly Statement[];
  readonly text: string;
}

/** A rule that is in the kernel. */
export interface ListedRule {
  /** Whether these bytes stand in it, in its chain's name or behind; it is not taken apart for that. */
  holds(bytes: Uint8Array): boolean;
  readonly chain: string;
  /** Names it for deleteRule as long as it exists; never used again within its table. */
  readonly handle: bigint;
  /** Whichever form it has: userdata, as nft writes it, or the match that iptables makes of it. */
  readonly comment: string | undefined;
  /** Read at the first look, which for hundreds of rules takes its time: see `about` of listRules. */
  readonly expressions: readonly Expression[];
  /** The expressions as the kernel sent them. */
  readonly raw: Uint8Array;
}

/** What `require` looks at: NFT_META_PROTOCOL, _NFPROTO, _L4PROTO. */
const loads = {
  protocol: constant('meta', { destination: register(0), key: 1 }),
  nfproto: constant('meta', { destination: register(0), key: 15 }),
  l4proto: constant('meta', { destination: register(0), key: 16 }),
};

/** What statements compile into. */
export class Program {
  readonly family: NftFamily;
  readonly expressions: Expression[] = [];
  comment: string | undefined;
  /** The protocol that extensions of iptables in this rule may rely on: the kernel refuses theirs without. */
  extensionProtocol: number | undefined;
  readonly #known = new Map<string, number>();

  constructor(family: NftFamily) {
    this.family = family;
  }

  add(...more: Expression[]): void {
    for (let i = 0; i < more.length; i++) this.expressions.push(more[i]!);
  }

  /**
   * Makes sure, once per rule, that a field is there at all before it is read: `ip saddr` in an inet table must
   * first know that the packet is IPv4. nft adds the same comparisons and hides them when it lists.
   */
  require(what: 'nfproto' | 'protocol' | 'l4proto', value: number): void {
    if (this.#known.get(what) === value) return;
    this.#known.set(what, value);
    const bytes = what === 'protocol' ? Uint8Array.of(value >> 8, value & 0xff) : Uint8Array.of(value);
    this.add(loads[what], expression('cmp', { source: register(0), op: '==', data: { value: bytes } }));
  }
}

export function rule(...statements: readonly Statement[]): Rule {
  return { statements, text: statements.map((one) => one.text).join(' ') };
}

/** Shown by nft, kept by the kernel; ours find their rules by it. */
export function comment(text: string): Statement {
  return {
    text: `comment "${text}"`,
    compile: (into) => {
      into.comment = text;
    },
  };
}

export function compile(family: NftFamily, of: Rule): Program {
  const program = new Program(family);
  for (const statement of of.statements) statement.compile(program);
  return program;
}

const ruleMessage = message(
  nfgenmsg,
  attributes('NFTA_RULE_', {
    table: [1, asciiz],
    chain: [2, asciiz],
    handle: [3, be64],
    expressions: [4, nest(nftExpressions)],
    compat: [5, nest(attributes('NFTA_RULE_COMPAT_', { protocol: [1, be32], flags: [2, be32] }))],
    userdata: [7, bytes],
  }),
);

/** Which rules are of interest: those whose message has one of these bytes, or for which this is true of it. */
export type About = readonly Uint8Array[] | ((message: Uint8Array) => boolean);

/** The same for reading: of the many rules of a chain only a few are looked at closely, so each is left as bytes until
 *  something of it is asked for. */
class Outline implements ListedRule {
  readonly #message: Uint8Array;
  #found: (Uint8Array | undefined)[] | undefined;
  #expressions: readonly Expression[] | undefined;

  constructor(message: Uint8Array) {
    this.#message = message;
  }

  get #attributes(): (Uint8Array | undefined)[] {
    if (this.#found) return this.#found;
    const found: (Uint8Array | undefined)[] = [];
    for (const { type, bytes } of attributesOf(this.#message.subarray(4))) found[type & 0x3fff] = bytes;
    this.#found = found;
    return found;
  }

  /** The names end with a NUL. */
  isOf(table: Uint8Array, chain: Uint8Array | undefined): boolean {
    const [message, next] = [this.#message, 4 + ((4 + table.length + 3) & ~3)];
    // Table and chain come first, as every kernel sends them; else they are looked for.
    if (u16At(message, 4) === 4 + table.length && message[6] === NFTA_RULE_TABLE) {
      if (!standsAt(message, 8, table)) return false;
      if (!chain) return true;
      if (message[next + 2] === NFTA_RULE_CHAIN) {
        return u16At(message, next) === 4 + chain.length && standsAt(message, next + 4, chain);
      }
    }
    const [, theirTable, theirChain] = this.#attributes;
    return (
      theirTable !== undefined &&
      sameBytes(theirTable, table) &&
      (!chain || (theirChain !== undefined && sameBytes(theirChain, chain)))
    );
  }

  holds(bytes: Uint8Array): boolean {
    return holdsBytes(this.#message, bytes);
  }

  get chain(): string {
    const bytes = this.#attributes[NFTA_RULE_CHAIN];
    return bytes ? asciiz.read(bytes) : '';
  }

  get handle(): bigint {
    const bytes = this.#attributes[3];
    return bytes ? be64.read(bytes) : 0n;
  }

  get comment(): string | undefined {
    return readComment(this.#attributes[7]) ?? readMatchComment(this.raw, () => this.expressions);
  }

  get raw(): Uint8Array {
    return this.#attributes[4] ?? new Uint8Array();
  }

  get expressions(): readonly Expression[] {
    this.#expressions ??= nftExpressions.read(this.raw).elements ?? [];
    return this.#expressions;
  }
}

const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;

/** What a dump is read by; undefined for what is of no interest. */
function outlinesOf(
  table: Table,
  chain: string | undefined,
  about: About | undefined,
): Codec<Outline | undefined> {
  const [tableName, chainName] = [nameBytes(table.name), chain === undefined ? undefined : nameBytes(chain)];
  const isMeant =
    typeof about === 'function' || !about
      ? about
      : (message: Uint8Array) => about.some((bytes) => holdsBytes(message, bytes));
  return {
    write: () => undefined, // only ever read
    read(message) {
      if (isMeant && !isMeant(message)) return undefined;
      const outline = new Outline(message);
      // Kernels before 4.20 do not filter by chain.
      return outline.isOf(tableName, chainName) ? outline : undefined;
    },
  };
}

function nameBytes(name: string): Uint8Array {
  return new TextEncoder().encode(`${name}\0`);
}

/** At the end of the chain. */
export function addRule(chain: Chain, of: Rule): Change {
  return newRule('add', chain, of, NLM_F.create | NLM_F.append);
}

/** Before the chain's first rule. */
export function insertRule(chain: Chain, of: Rule): Change {
  return newRule('insert', chain, of, NLM_F.create);
}

function newRule(verb: string, chain: Chain, of: Rule, flags: number): Change {
  const program = compiledFor(chain.table.family, of);
  return change(`${verb} rule ${chainText(chain)} ${of.text}`, NFT_MSG_NEWRULE, flags, ruleMessage, {
    family: families[chain.table.family],
    table: chain.table.name,
    chain: chain.name,
    expressions: { elements: program.expressions },
    compat:
      program.extensionProtocol === undefined ? undefined : { protocol: program.extensionProtocol, flags: 0 },
    userdata: program.comment === undefined ? undefined : commentBytes(program.comment),
  });
}

/** ENOENT if somebody else was quicker: then nothing of the transaction is done, so list again. */
export function deleteRule(table: Table, listed: { chain: string; handle: bigint }): Change {
  const what = `delete rule ${tableText(table)} ${listed.chain} handle ${listed.handle}`;
  return change(what, NFT_MSG_DELRULE, 0, ruleMessage, {
    family: families[table.family],
    table: table.name,
    chain: listed.chain,
    handle: listed.handle,
  });
}

/** All rules of the chain. */
export function flushChain(chain: Chain): Change {
  return change(`flush chain ${chainText(chain)}`, NFT_MSG_DELRULE, 0, ruleMessage, {
    family: families[chain.table.family],
    table: chain.table.name,
    chain: chain.name,
  });
}

/**
 * The rules of one chain, or of all chains of one table, in order. The kernel filters, so foreign rules cost
 * nothing. A table or chain that is not there has none.
 *
 * Any change of any rule in the namespace marks a long listing as interrupted, so that on a busy host with many
 * containers it may never come through whole. What an interrupted one can miss are a few rules, at random, that stand
 * behind a rule deleted just then; so after some attempts the sum of all is taken. Rules that were deleted meanwhile
 * may be among them: deleting these again is ENOENT, see retryRaces.
 *
 * `about`: which rules are of interest, by bytes such as an address or a part of a comment; others are left out unread,
 * which is a quick way past the hundreds of a busy host.
 */
export function listRules(nl: Netlink, table: Table, chain?: string, about?: About): ListedRule[] {
  const request = {
    name: 'NFT_MSG_GETRULE',
    type: messageType('nftables', NFT_MSG_GETRULE),
    flags: 0,
    message: ruleMessage,
    value: { family: families[table.family], table: table.name, chain },
  };
  const what = `list the rules of ${tableText(table)}`;
  const reader = outlinesOf(table, chain, about);
  const earlier = new Map<bigint, ListedRule>();
  for (let attempt = 1; ; attempt++) {
    const dump = unlessAbsent(what, () => nl.dumpOnce(request, reader));
    const listed = (dump?.values ?? []).filter((one) => one !== undefined);
    if (!dump?.interrupted) return listed;
    for (const one of listed) earlier.set(one.handle, one);
    if (attempt === listAttempts)
      return [...new Map([...listed.map((one) => [one.handle, one] as const), ...earlier]).values()];
  }
}

const compiled = new WeakMap<Rule, Program>();

/** What `compile` makes, kept: a rule is usually compared with many. */
export function compiledFor(family: NftFamily, of: Rule): Program {
  const known = compiled.get(of);
  if (known?.family === family) return known;
  const program = compile(family, of);
  compiled.set(of, program);
  return program;
}

/**
 * Whether a rule in the kernel is this one. What the kernel adds of its own (defaults it spells out, counters that
 * somebody put in) does not count; anything we would have said otherwise does.
 */
export function sameRule(family: NftFamily, ours: Rule, listed: ListedRule): boolean {
  const program = compiledFor(family, ours);
  if (program.comment !== listed.comment) return false;
  const theirs = listed.expressions.filter((one) => one.kind !== 'counter');
  const mine = program.expressions.filter((one) => one.kind !== 'counter');
  return mine.length === theirs.length && mine.every((one, i) => covers(theirs[i], one));
}

/** Every member of `ours` has the same value in `theirs`. */
function covers(theirs: unknown, ours: unknown): boolean {
  if (ours instanceof Uint8Array) {
    return theirs instanceof Uint8Array && sameBytes(theirs, ours);
  }
  if (typeof ours !== 'object' || ours === null) return theirs === ours;
  if (typeof theirs !== 'object' || theirs === null) return Object.keys(ours).length === 0;
  const given: Record<string, unknown> = { ...theirs };
  return Object.entries(ours).every(([key, value]) => value === undefined || covers(given[key], value));
}
