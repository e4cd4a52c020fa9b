/**
 * The rules by iptables, as the reference writes them: FORWARD leads to CNI-FORWARD, which asks the administrator's
 * chain and then has two rules per address. They name no owner, and must not, since the reference's DEL and CHECK
 * look for exactly these. So owners stand in a chain of their own: one rule per address, whose comment is the owner.
 * By these DEL and GC find what is whose when nobody tells them the addresses. Only connections whose destination was
 * translated get there, and are let through to that address: they are those of its published ports.
 *
 * The reference's DEL takes the two rules and leaves the entry. That one is over, then: when the address has rules
 * again, they are younger than the entry, which nf_tables' handles tell, and belong to somebody else.
 */
import { parseCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import {
  type ChainRule,
  type ChainRules,
  readChains,
  readLegacyChains,
  readNftChains,
} from '@cni-ts/iptables/chain-rules';
import { xtRelatedOrEstablished } from '@cni-ts/iptables/native-match';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import {
  type Family,
  findProgram,
  findVariant,
  IptablesError,
  programName,
  requireProgram,
  variantOf,
} from '@cni-ts/iptables/program';
import {
  appendRule,
  createChain,
  deleteChain,
  deleteRule,
  type IptablesChange,
  insertRule,
  restore,
} from '@cni-ts/iptables/restore';
import { joinWords, withoutComment, wordAfter } from '@cni-ts/iptables/words';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import type { Netlink } from '@cni-ts/netlink/socket';
import { accept, counter } from '@cni-ts/nftables/action';
import { daddr, saddr } from '@cni-ts/nftables/match';
import {
  addRule as addNftRule,
  deleteRule as deleteNftRule,
  comment as nftComment,
  rule as nftRule,
  type Rule,
} from '@cni-ts/nftables/rule';
import { type Change, NftablesError, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { networkMark, ownerComment, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { errorText } from '@cni-ts/spec/cni-error';
import { tryEach } from '@cni-ts/spec/failing';
import { type IsolationRule, isolationChains, isolationRules } from './ingress-policy.ts';
import {
  adminComment,
  families,
  familiesOf,
  forwardChain,
  forwardComment,
  hostText,
  type Plan,
  publishedComment,
  sharedMark,
} from './plan.ts';

const ownersChain = 'CNI-FORWARD-OWNERS';

/** A rule and where it goes if it is not there. */
interface Step {
  readonly chain: string;
  readonly words: readonly string[];
  readonly first: boolean;
  /** The same for netlink, in the form that iptables-nft gives it. */
  readonly native?: Rule;
  /** Not made by the reference, whose attachments do without it. */
  readonly onlyOurs?: boolean;
  /** Stands above the step before it, or is useless. */
  readonly above?: boolean;
}

interface Wanted {
  readonly chains: readonly string[];
  /** Of all attachments. */
  readonly shared: readonly Step[];
  /** Of this one. */
  readonly own: readonly Step[];
}

function wantedOf(plan: Plan, addresses: readonly Ip[]): Wanted {
  const { adminChain, isolation } = plan;
  const isolating = isolation ? isolationRules(isolation) : [];
  return {
    chains: [
      ...(addresses.length ? [forwardChain, adminChain, ownersChain] : []),
      ...(isolation ? isolationChains : []),
    ],
    shared: [
      ...(addresses.length ? [forwardJump, adminJump(adminChain), publishedJump] : []),
      ...isolating.map(isolationStep),
    ],
    own: addresses.flatMap((ip) => [...addressSteps(ip), ownerStep(plan, ip)]),
  };
}

const forwardJump = first('FORWARD', [...commented(forwardComment), '-j', forwardChain]);

function adminJump(adminChain: string): Step {
  return first(forwardChain, [...commented(adminComment), '-j', adminChain]);
}

const publishedJump: Step = {
  ...last(forwardChain, [...dnatted(), ...commented(publishedComment), '-j', ownersChain]),
  onlyOurs: true,
};

function dnatted(): string[] {
  return ['-m', 'conntrack', '--ctstate', 'DNAT'];
}

function addressSteps(ip: Ip): Step[] {
  const [answers, own] = addressWords(hostText(ip));
  return [
    {
      ...last(forwardChain, answers),
      native: nftRule(daddr(ip), xtRelatedOrEstablished, counter, accept),
    },
    { ...last(forwardChain, own), native: nftRule(saddr(ip), counter, accept) },
  ];
}

function addressWords(address: string): [string[], string[]] {
  return [
    ['-d', address, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'],
    ['-s', address, '-j', 'ACCEPT'],
  ];
}

/** By netlink the comment is userdata, which survives `nft -f` as the match would not. iptables reads both. */
function ownerStep({ owner }: Plan, ip: Ip): Step {
  const text = ownerComment(owner);
  return {
    ...last(ownersChain, ['-d', hostText(ip), ...commented(text), '-j', 'ACCEPT']),
    native: nftRule(daddr(ip), counter, accept, nftComment(text)),
    onlyOurs: true,
  };
}

function isolationStep(rule: IsolationRule): Step {
  const { input, output, notOutput, published = false } = rule;
  const words = [
    ...(input === undefined ? [] : ['-i', input]),
    ...(output === undefined ? [] : ['-o', output]),
    ...(notOutput === undefined ? [] : ['!', '-o', notOutput]),
    ...(published ? dnatted() : []),
    ...commented(rule.comment),
    '-j',
    rule.verdict,
  ];
  return { chain: rule.chain, words, first: rule.first, onlyOurs: published, above: published };
}

function first(chain: string, words: string[]): Step {
  return { chain, words, first: true };
}

function last(chain: string, words: string[]): Step {
  return { chain, words, first: false };
}

function commented(text: string): string[] {
  return ['-m', 'comment', '--comment', text];
}

/**
 * Makes what is missing in each family that the attachment has addresses of: what all share by one iptables-restore,
 * and the attachment's own by netlink without a process where the chains belong to iptables-nft. `isolationOnly`:
 * another backend has the addresses. Its undo is added here: also the shared chains go, if nobody else uses them.
 */
export function addByIptables(nl: Netlink, plan: Plan, undo: Undo, { isolationOnly = false } = {}): void {
  const used = familiesOf(plan);
  used.forEach(requireIptables);
  for (const family of used) {
    const addresses = plan.addresses.filter((ip) => ip.family === family);
    const wanted = wantedOf(plan, isolationOnly ? [] : addresses);
    const made: Made = { chains: [], shared: [], own: [] };
    undo.add(`${programName(family)} rules of ${plan.owner.containerId}`, () =>
      takeBack(nl, family, plan, made),
    );
    complete(nl, family, plan, wanted, made);
  }
}

/** The reference's words for a missing program. */
function requireIptables(family: Family): void {
  try {
    requireProgram(programName(family));
    requireProgram(programName(family, 'restore'));
  } catch (error) {
    const protocol = family === 4 ? 0 : 1;
    throw new Error(`could not initialize iptables protocol ${protocol}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** Why ADD of such addresses could not work here; undefined if it could. */
export function iptablesProblem(of: readonly Family[] = families): string | undefined {
  const missing = of
    .flatMap((family) => [programName(family), programName(family, 'restore')])
    .filter((name) => findProgram(name) === undefined);
  return missing.length ? `${missing.join(', ')}: executable file not found in $PATH` : undefined;
}

/** What one ADD made in one family, or was about to. */
interface Made extends Wanted {
  readonly chains: string[];
  readonly shared: Step[];
  readonly own: Step[];
}

const attempts = 10;
const encoder = new TextEncoder();

/** What there is of what is wanted. Shared rules may have lost the comments by which they are picked from hundreds:
 *  `all` leaves nothing out. */
function readWanted(nl: Netlink, family: Family, plan: Plan, { chains }: Wanted, all: boolean): ChainRules {
  const about: Uint8Array[] = [sharedMark];
  for (const ip of plan.addresses) if (ip.family === family) about.push(ip.bytes);
  return readChains(nl, family, 'filter', ['FORWARD', ...chains], all ? undefined : about);
}

function complete(nl: Netlink, family: Family, plan: Plan, wanted: Wanted, made: Made): void {
  const isNft = variantOf(requireProgram(programName(family, 'restore'))) === 'nft';
  const look = (all = false) => lacking(readWanted(nl, family, plan, wanted, all), plan, wanted);
  const note = ({ chains, shared, own }: Wanted) => {
    made.chains.push(...chains.filter((one) => !made.chains.includes(one)));
    made.shared.push(...shared.filter((one) => !made.shared.includes(one)));
    made.own.push(...own.filter((one) => !made.own.includes(one)));
  };
  const write = (part: Lacking) => {
    note(part);
    restore(family, { filter: changesOf(part) });
  };
  for (let attempt = 1; ; attempt++) {
    let missing = look();
    try {
      if (needsShared(missing)) {
        oneAtATime(() => {
          missing = look(true);
          if (!needsShared(missing)) return;
          // Where netlink can, it writes the attachment's own: see ownerStep.
          write(isNft ? { ...missing, own: [], stale: [] } : missing);
          missing = { ...(isNft ? missing : nothing), chains: [], shared: [] };
        });
      }
      if (!missing.own.length && !missing.stale.length) return;
      const native = isNft && attempt === 1 ? nativeChanges(family, missing) : undefined;
      if (native) {
        note(missing);
        transaction(nl, native);
      } else write(missing);
      return;
    } catch (error) {
      if (error instanceof NftablesError) continue; // the program shall try
      // Somebody else changed the same chains after we had looked.
      const raced = error instanceof IptablesError && error.status !== undefined && attempt < attempts;
      if (!raced || (attempt > 1 && sameLines(look(true), missing))) throw error;
    }
  }
}

/** The attachment's own changes for netlink; undefined where one of them has no such form. */
function nativeChanges(family: Family, { own, stale }: Lacking): Change[] | undefined {
  const table = iptablesNftTable(family, 'filter');
  const changes: Change[] = [];
  for (const { chain, native } of own) {
    if (!native) return undefined;
    changes.push(addNftRule({ table, name: chain }, native));
  }
  for (const { chain, handle } of stale) {
    if (handle === undefined) return undefined;
    changes.push(deleteNftRule(table, { chain, handle }));
  }
  return changes;
}

interface Lacking extends Wanted {
  /** Entries of the address's earlier holders, or that say nothing any more. */
  readonly stale: readonly ChainRule[];
}

const nothing: Lacking = { chains: [], shared: [], own: [], stale: [] };

/** Something is missing that others need too. */
function needsShared({ chains, shared }: Lacking): boolean {
  return chains.length + shared.length > 0;
}

function changesOf({ chains, shared, own, stale }: Lacking): IptablesChange[] {
  return [
    ...chains.map(createChain),
    ...[...shared, ...own].map(({ chain, words, first }) => (first ? insertRule : appendRule)(chain, words)),
    // Of two that are the same the first goes, which is the older one.
    ...stale.map(({ chain, words }) => deleteRule(chain, words)),
  ];
}

function lacking(there: ChainRules, plan: Plan, { chains, shared, own }: Wanted): Lacking {
  const stale = own
    .filter(({ chain }) => chain === ownersChain)
    .flatMap((entry) => staleBeside(entry, there, plan));
  const missing = shared.map((step) => !has(there, step));
  return {
    chains: chains.filter((name) => !there.chains.includes(name)),
    shared: shared.filter(({ above }, i) => missing[i] || (above && missing[i - 1])),
    own: own.filter((step) => !there.rules.some((rule) => isStep(rule, step) && !stale.includes(rule))),
    stale,
  };
}

/** The entries of an address that must go when this one stands there. An address is one attachment's in its network. */
function staleBeside(entry: Step, { rules }: ChainRules, { owner }: Plan): ChainRule[] {
  const address = addressOf(entry);
  const ruled = addressRules(rules, address);
  const text = joinWords(entry.words);
  return rules.filter((rule) => {
    if (rule.chain !== ownersChain || addressOf(rule) !== address) return false;
    if (!ruled.length || isOver(rule, ruled)) return true;
    return commentOf(rule).startsWith(networkMark(owner.network)) && rule.text !== text;
  });
}

/** Whether an entry says nothing of the rules that its address has: they were made later, or its owner got lost. */
function isOver(entry: ChainRule, ruled: readonly ChainRule[]): boolean {
  if (commentOf(entry) === '') return true;
  const { handle } = entry;
  if (handle === undefined || !ruled.length) return false;
  return ruled.every((rule) => rule.handle !== undefined && rule.handle > handle);
}

function addressRules(rules: readonly ChainRule[], address: string): ChainRule[] {
  const texts = addressWords(address).map(joinWords);
  return rules.filter(({ chain, text }) => chain === forwardChain && texts.includes(text));
}

/** An owner entry's address. */
function addressOf({ words }: Pick<ChainRule, 'words'>): string {
  return wordAfter(words, '-d') ?? '';
}

function sameLines(a: Lacking, b: Lacking): boolean {
  const text = (one: Lacking) =>
    changesOf(one)
      .map(({ line }) => line)
      .join('\n');
  return text(a) === text(b);
}

function isStep(rule: ChainRule, { chain, words }: Step): boolean {
  return rule.chain === chain && rule.text === joinWords(words);
}

/** A shared rule may have lost its comment: `nft -f` drops those that iptables has made. */
function has({ rules }: ChainRules, { chain, words }: Step): boolean {
  const text = joinWords(words);
  if (rules.some((rule) => rule.text === text && rule.chain === chain)) return true;
  const bare = joinWords(withoutComment(words));
  return rules.some((rule) => rule.text === bare && rule.chain === chain);
}

/**
 * Undoes one ADD. Chains that it created go only together with all that it put into them, and only while nothing
 * else is in them: then the restore fails as a whole, and just the attachment's own rules are taken out.
 */
function takeBack(nl: Netlink, family: Family, plan: Plan, { chains, shared, own }: Made): void {
  if (chains.length) {
    try {
      oneAtATime(() => {
        const steps = [...shared, ...own];
        const touched = new Set([...chains, ...steps.map(({ chain }) => chain)]);
        const there = readChains(nl, family, 'filter', [...touched]);
        const made = steps.filter((step) => there.rules.some((rule) => isStep(rule, step)));
        const changes = [
          ...made.map(({ chain, words }) => deleteRule(chain, words)),
          ...chains.filter((name) => there.chains.includes(name)).map(deleteChain),
        ];
        restore(family, { filter: changes });
      });
      return;
    } catch (error) {
      if (!(error instanceof IptablesError)) throw error; // else: somebody else has begun to use them
    }
  }
  if (!own.length) return;
  const about = plan.addresses.map(({ bytes }) => bytes);
  const isOwn = (rule: ChainRule) => own.some((step) => isStep(rule, step));
  removeChosen(nl, family, about, ({ rules }) => rules.filter(isOwn));
}

/**
 * Takes the rules of one attachment away: those it is written down as the owner of, and those of `addresses` unless
 * another attachment has them by now. Chains and jumps stay. What iptables-nft keeps in nf_tables goes by netlink;
 * a program is started only where the older tables are in use.
 */
export function removeByIptables(nl: Netlink, plan: Pick<Plan, 'owner' | 'addresses'>): void {
  const mark = ownerMark(plan.owner);
  const isOwn = (comment: string) => comment.startsWith(mark);
  tryEach(families, (family) => removeFrom(nl, family, mark, isOwn, plan.addresses));
}

/** Removes the rules of every attachment of `network` that is not among `valid`. */
export function gcByIptables(nl: Netlink, network: string, valid: readonly Attachment[]): void {
  const keep = new Set(valid.map((one) => ownerMark({ network, ...one })));
  const mark = networkMark(network);
  const isOwn = (comment: string) => comment.startsWith(mark) && !keep.has(comment.slice(0, 33));
  tryEach(families, (family) => removeFrom(nl, family, mark, isOwn, []));
}

/** `mark`: what the comments of all that `isOwn` accepts begin with. */
function removeFrom(
  nl: Netlink,
  family: Family,
  mark: string,
  isOwn: (comment: string) => boolean,
  addresses: readonly Ip[],
): void {
  const told = addresses.filter((ip) => ip.family === family);
  const texts = told.map(hostText);
  const about = () => {
    const owned = readNftChains(nl, family, 'filter', [ownersChain], [encoder.encode(mark)]);
    const own = owned.rules.filter((rule) => isOwn(commentOf(rule))).flatMap(addressBytes);
    return [...told.map(({ bytes }) => bytes), ...own];
  };
  removeChosen(nl, family, about, ({ rules }) => leavingRules(rules, isOwn, texts));
}

const ownedChains = [forwardChain, ownersChain];

/** Removes what `choose` picks of the two chains, from either kind of tables. */
function removeChosen(
  nl: Netlink,
  family: Family,
  about: readonly Uint8Array[] | (() => readonly Uint8Array[]),
  choose: (there: ChainRules) => readonly ChainRule[],
): void {
  retryRaces(() => {
    const table = iptablesNftTable(family, 'filter');
    const bytes = typeof about === 'function' ? about() : about;
    if (!bytes.length) return;
    const leaving = choose(readNftChains(nl, family, 'filter', ownedChains, bytes));
    transaction(
      nl,
      leaving.flatMap(({ chain, handle }) =>
        handle === undefined ? [] : [deleteNftRule(table, { chain, handle })],
      ),
    );
    // Those that only the program itself could read.
    const byWords = leaving.filter((rule) => rule.handle === undefined);
    restore(family, { filter: deletions(byWords) }, findVariant(family, 'restore', 'nft'));
  });
  const leaving = choose(readLegacyChains(family, 'filter', ownedChains));
  restore(family, { filter: deletions(leaving) }, findVariant(family, 'restore', 'legacy'));
}

function addressBytes(entry: ChainRule): Uint8Array[] {
  const cidr = parseCidr(addressOf(entry));
  return cidr ? [cidr.ip.bytes] : [];
}

function deletions(rules: readonly ChainRule[]): IptablesChange[] {
  return rules.map(({ chain, words }) => deleteRule(chain, words));
}

/** The entries that `isOwn` accepts, and all of the addresses that are left without an owner by that, or were `told` and
 *  have none. */
function leavingRules(
  rules: readonly ChainRule[],
  isOwn: (comment: string) => boolean,
  told: readonly string[],
): ChainRule[] {
  const ruled = new Map<string, ChainRule[]>();
  const rulesOf = (address: string) => {
    const known = ruled.get(address) ?? addressRules(rules, address);
    ruled.set(address, known);
    return known;
  };
  const [own, others, over]: [ChainRule[], ChainRule[], ChainRule[]] = [[], [], []];
  for (const entry of rules) {
    if (entry.chain !== ownersChain) continue;
    if (isOver(entry, rulesOf(addressOf(entry)))) over.push(entry);
    else (isOwn(commentOf(entry)) ? own : others).push(entry);
  }
  const kept = new Set(others.map(addressOf));
  const gone = new Set([...own.map(addressOf), ...told].filter((address) => !kept.has(address)));
  return [
    ...own,
    ...over.filter((entry) => isOwn(commentOf(entry)) || gone.has(addressOf(entry))),
    ...[...gone].flatMap(rulesOf),
  ];
}

function commentOf({ words }: ChainRule): string {
  return wordAfter(words, '--comment') ?? '';
}

/** What is missing, in the reference's words. Nothing is changed. */
export function differencesInIptables(nl: Netlink, plan: Plan, { isolationOnly = false } = {}): string[] {
  const found: string[] = [];
  for (const family of families) {
    const addresses = plan.addresses.filter((ip) => ip.family === family);
    if (!addresses.length) continue;
    requireIptables(family);
    const wanted = wantedOf(plan, isolationOnly ? [] : addresses);
    const missing = missingOf(readWanted(nl, family, plan, wanted, false), plan, wanted);
    const really = missing.length
      ? missingOf(readWanted(nl, family, plan, wanted, true), plan, wanted)
      : missing;
    for (const { chain, words } of really) {
      const isJump = chain === 'FORWARD' || words.includes(plan.adminChain);
      found.push(`expected ${isJump ? `${chain} ` : ''}rule [${words.join(' ')}] not found`);
    }
  }
  return found;
}

/** The reference's attachments have no owner written down nor what only ours make, and work as well. */
function missingOf(there: ChainRules, { owner }: Plan, { shared, own }: Wanted): Step[] {
  const mark = ownerMark(owner);
  const isOurs = there.rules.some((rule) => rule.chain === ownersChain && commentOf(rule).startsWith(mark));
  return [...shared, ...own].filter((step) => (isOurs || !step.onlyOurs) && !has(there, step));
}
