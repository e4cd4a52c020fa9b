import { attributes, nest } from '@cni-ts/netlink/attributes';
import { holdsBytes } from '@cni-ts/netlink/bytes';
import { asciiz, be32, bytes, type Codec, oneOf } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';
import { commentBytes, readComment } from './comment.ts';
import { families, messageType, type NftFamily, nfgenmsg } from './nfnetlink.ts';
import { ask, type Question, question } from './question.ts';
import { type Table, tableText } from './table.ts';
import { type Change, change, NLM_F_NONREC, unlessAbsent } from './transaction.ts';

const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_DELCHAIN = 5;
const NFPROTO_UNSPEC = 0;
const listAttempts = 5;

/** Where the kernel calls a chain. Priorities: filter 0, dstnat -100, srcnat 100; bridge has numbers of its own. */
export interface Base {
  readonly type: 'filter' | 'nat' | 'route';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  readonly priority: number;
  readonly policy?: 'accept' | 'drop';
}

export interface Chain {
  readonly table: Table;
  readonly name: string;
  /** Without it the chain is only reached by jump and goto. */
  readonly base?: Base;
  readonly comment?: string;
}

/** A chain that is in the kernel. */
export interface FoundChain extends Chain {
  /** How many rules it has, and how many rules and map elements lead to it, together: the kernel counts. */
  readonly use: number;
}

/** NF_INET_*, include/uapi/linux/netfilter.h; the bridge family counts the same (netfilter_bridge.h). */
const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** Big-endian and signed, which only priorities are. */
const be32signed: Codec<number> = { size: 4, write: be32.write, read: (payload) => be32.read(payload) | 0 };

const chainMessage = message(
  nfgenmsg,
  attributes('NFTA_CHAIN_', {
    table: [1, asciiz],
    name: [3, asciiz],
    hook: [
      4,
      nest(
        attributes('NFTA_HOOK_', {
          number: [1, oneOf(be32, hooks)],
          priority: [2, be32signed],
        }),
      ),
    ],
    policy: [5, oneOf(be32, { drop: 0, accept: 1 })],
    use: [6, be32],
    type: [7, asciiz],
    userdata: [12, bytes],
  }),
);

/** `inet cni_plugins_masquerade masq_checks` */
export function chainText(chain: Chain): string {
  return `${tableText(chain.table)} ${chain.name}`;
}

/** Whether one of these has the same name in the same table. */
export function isAmong({ table, name }: Chain, chains: readonly Chain[]): boolean {
  return chains.some(
    (one) => one.name === name && one.table.name === table.name && one.table.family === table.family,
  );
}

/** There already with the same hook: stays, with its rules and comment. Another hook: EEXIST. */
export function addChain(chain: Chain): Change {
  return newChain('add', chain, NLM_F.create);
}

/** EEXIST if it is there already. */
export function createChain(chain: Chain): Change {
  return newChain('create', chain, NLM_F.create | NLM_F.exclusive);
}

function newChain(verb: string, chain: Chain, flags: number): Change {
  const { base, comment } = chain;
  return change(`${verb} chain ${chainText(chain)}`, NFT_MSG_NEWCHAIN, flags, chainMessage, {
    family: families[chain.table.family],
    table: chain.table.name,
    name: chain.name,
    userdata: comment === undefined ? undefined : commentBytes(comment),
    ...(base && {
      hook: { number: base.hook, priority: base.priority },
      type: base.type,
      policy: base.policy,
    }),
  });
}

/** EBUSY while a rule outside this transaction jumps there; ENOENT if it is not there. Its own rules go with it. */
export function deleteChain(chain: Chain): Change {
  return removal(chain, 0);
}

/** EBUSY also while it has a rule that this transaction does not delete: somebody else uses it. */
export function deleteEmptyChain(chain: Chain): Change {
  return removal(chain, NLM_F_NONREC);
}

function removal(chain: Chain, flags: number): Change {
  return change(`delete chain ${chainText(chain)}`, NFT_MSG_DELCHAIN, flags, chainMessage, {
    family: families[chain.table.family],
    table: chain.table.name,
    name: chain.name,
  });
}

function lookFor<T>(
  { table, name }: Chain,
  codec: typeof chainMessage,
  read: (found: ReturnType<typeof chainMessage.read> | undefined) => T,
): Question<T> {
  const request = {
    name: 'NFT_MSG_GETCHAIN',
    type: messageType('nftables', NFT_MSG_GETCHAIN),
    flags: 0,
    message: codec,
    value: { family: families[table.family], table: table.name, name },
  };
  return question(`look for chain ${chainText({ table, name })}`, request, read);
}

/** For the chain as the kernel has it; undefined if it (or its table) is not there. */
export function chainQuestion(chain: Chain): Question<FoundChain | undefined> {
  return lookFor(
    chain,
    chainMessage,
    (found) => found && { ...fromKernel(chain.table, found), use: found.use ?? 0 },
  );
}

/** Nothing of a chain is read but that it is there. */
const presence: typeof chainMessage = { ...chainMessage, read: () => ({}) };

/** For whether the chain is there. */
export function presenceQuestion(chain: Chain): Question<boolean> {
  return lookFor(chain, presence, (found) => found !== undefined);
}

/** The chain as the kernel has it; undefined if it (or its table) is not there. */
export function findChain(nl: Netlink, chain: Chain): FoundChain | undefined {
  return ask(nl, [chainQuestion(chain)])[0];
}

/** Those of the chains of a table that are there, asked for in one message. */
export function chainsThere(nl: Netlink, table: Table, names: readonly string[]): string[] {
  const found = ask(
    nl,
    names.map((name) => presenceQuestion({ table, name })),
  );
  return names.filter((_, i) => found[i]);
}

const familyNames = new Map<number, NftFamily>(
  Object.entries(families).map(([name, number]) => [number, name as NftFamily]), // reason: the table's keys
);

/**
 * The chains of all tables, of one family or without `of` of all, in one request. `about`: bytes of which a chain must have some to be of
 * interest, as a part of its name, its table's or its type; others, of which a host may have thousands, are left out
 * unread. Where others keep changing the tables meanwhile, the sum of some attempts is taken, as listRules does.
 */
export function listChains(nl: Netlink, of?: NftFamily, about?: readonly Uint8Array[]): Chain[] {
  const isMeant = (bytes: Uint8Array) => !about || about.some((part) => holdsBytes(bytes, part));
  const reader: Codec<ReturnType<typeof chainMessage.read> | undefined> = {
    ...chainMessage,
    write: () => undefined, // only ever read
    read: (bytes) => (isMeant(bytes) ? chainMessage.read(bytes) : undefined),
  };
  const request = {
    name: 'NFT_MSG_GETCHAIN',
    type: messageType('nftables', NFT_MSG_GETCHAIN),
    flags: 0,
    message: chainMessage,
    value: { family: of === undefined ? NFPROTO_UNSPEC : families[of] },
  };
  const chains = new Map<string, Chain>();
  for (let attempt = 1; ; attempt++) {
    const dump = unlessAbsent('list the chains', () => nl.dumpOnce(request, reader));
    for (const found of dump?.values ?? []) {
      const family = familyNames.get(found?.family ?? NFPROTO_UNSPEC);
      if (!found || !family) continue;
      const chain = fromKernel({ family, name: found.table ?? '' }, found);
      chains.set(chainText(chain), chain);
    }
    if (!dump?.interrupted || attempt === listAttempts) return [...chains.values()];
  }
}

function fromKernel(table: Table, found: ReturnType<typeof chainMessage.read>): Chain {
  const comment = readComment(found.userdata);
  const { hook, type, policy } = found;
  return {
    table,
    name: found.name ?? '',
    ...(comment === undefined ? {} : { comment }),
    // reason: the kernel names only types and hooks that it has
    ...(hook?.number && type
      ? {
          base: {
            type: type as Base['type'],
            hook: hook.number,
            priority: hook.priority ?? 0,
            ...(policy ? { policy } : {}),
          },
        }
      : {}),
  };
}
