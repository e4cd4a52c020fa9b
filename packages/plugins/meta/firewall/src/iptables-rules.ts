/**
 * The rules by iptables, as the reference writes them: FORWARD leads to CNI-FORWARD, which asks the administrator's
 * chain and then has two rules per address. They name no owner, and must not, since the reference's DEL and CHECK
 * look for exactly these. So owners stand in a chain of their own that no packet ever sees: one rule per address,
 * whose comment is the owner. By these DEL and GC find what is whose when nobody tells them the addresses.
 */
import { parseCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import {
  type ChainRule,
  type ChainRules,
  readChains,
  readLegacyChains,
  readNftChains,
} from '@cni-ts/netfilter/iptables/chain-rules';
import { xtComment, xtRelatedOrEstablished } from '@cni-ts/netfilter/iptables/native-match';
import { iptablesNftTable } from '@cni-ts/netfilter/iptables/native-table';
import {
  type Family,
  findProgram,
  findVariant,
  IptablesError,
  programName,
  requireProgram,
  variantOf,
} from '@cni-ts/netfilter/iptables/program';
import {
  appendRule,
  createChain,
  deleteChain,
  deleteRule,
  type IptablesChange,
  insertRule,
  restore,
} from '@cni-ts/netfilter/iptables/restore';
import { joinWords, wordAfter } from '@cni-ts/netfilter/iptables/words';
import { accept, counter, toCaller } from '@cni-ts/netfilter/nftables/action';
import { daddr, saddr } from '@cni-ts/netfilter/nftables/match';
import {
  addRule as addNftRule,
  deleteRule as deleteNftRule,
  rule as nftRule,
  type Rule,
} from '@cni-ts/netfilter/nftables/rule';
import { type Change, NftablesError, retryRaces, transaction } from '@cni-ts/netfilter/nftables/transaction';
import type { Netlink } from '@cni-ts/netlink/socket';
import { tryEach } from '@cni-ts/plugin-kit/failing';
import { oneAtATime } from '@cni-ts/plugin-kit/host-lock';
import { networkMark, ownerComment, ownerMark } from '@cni-ts/plugin-kit/owner-comment';
import { errorText } from '@cni-ts/skeleton/cni-error';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { type IsolationRule, isolationChains, isolationRules } from './ingress-policy.ts';
import {
  adminComment,
  families,
  familiesOf,
  forwardChain,
  forwardComment,
  hostText,
  type Plan,
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
      ...(addresses.length ? [forwardJump, adminJump(adminChain)] : []),
      ...isolating.map(isolationStep),
    ],
    own: addresses.flatMap((ip) => [...addressSteps(ip), ownerStep(plan, ip)]),
  };
}

const forwardJump = first('FORWARD', [...commented(forwardComment), '-j', forwardChain]);

function adminJump(adminChain: string): Step {
  return first(forwardChain, [...commented(adminComment), '-j', adminChain]);
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

function ownerStep({ owner }: Plan, ip: Ip): Step {
  const text = ownerComment(owner);
  return {
    ...last(ownersChain, ['-s', hostText(ip), ...commented(text), '-j', 'RETURN']),
    native: nftRule(saddr(ip), xtComment(text), counter, toCaller),
  };
}

function isolationStep(rule: IsolationRule): Step {
  const { input, output, notOutput } = rule;
  const words = [
    ...(input === undefined ? [] : ['-i', input]),
    ...(output === undefined ? [] : ['-o', output]),
    ...(notOutput === undefined ? [] : ['!', '-o', notOutput]),
    ...commented(rule.comment),
    '-j',
    rule.verdict,
  ];
  return { chain: rule.chain, words, first: rule.first };
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
 * Makes what is missing in each family that the attachment has addresses of: by one iptables-restore, or where the
 * shared chains are there and belong to iptables-nft, by netlink without a process. `isolationOnly`: another backend
 * has the addresses. Its undo is added here: also the shared chains go, if nobody else uses them.
 */
export function addByIptables(nl: Netlink, plan: Plan, undo: Undo, { isolationOnly = false } = {}): void {
  const used = familiesOf(plan);
  used.forEach(requireIptables);
  for (const family of used) {
    const addresses = plan.addresses.filter((ip) => ip.family === family);
    const wanted = wantedOf(plan, isolationOnly ? [] : addresses);
    const made = complete(nl, family, plan, wanted);
    undo.add(`${programName(family)} rules of ${plan.owner.containerId}`, () =>
      takeBack(nl, family, plan, made),
    );
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

/** What one ADD made in one family. */
interface Made {
  readonly chains: readonly string[];
  readonly steps: readonly Step[];
}

const attempts = 10;

function complete(nl: Netlink, family: Family, plan: Plan, wanted: Wanted): Made {
  const chains = ['FORWARD', ...wanted.chains];
  const isNft = variantOf(requireProgram(programName(family, 'restore'))) === 'nft';
  const about = [sharedMark, ...plan.addresses.map(({ bytes }) => bytes)];
  const look = () => lacking(readChains(nl, family, 'filter', chains, about), plan, wanted);
  for (let attempt = 1; ; attempt++) {
    let missing = look();
    if (!missing.changes.length) return missing;
    try {
      if (missing.shared) {
        oneAtATime(() => {
          missing = look();
          if (missing.shared) restore(family, { filter: missing.changes });
        });
        if (missing.shared) return missing;
      }
      const native = isNft && attempt === 1 ? nativeChanges(family, missing) : undefined;
      if (native) transaction(nl, native);
      else restore(family, { filter: missing.changes });
      return missing;
    } catch (error) {
      if (error instanceof NftablesError) continue; // the program shall try
      // Somebody else changed the same chains after we had looked.
      const raced = error instanceof IptablesError && error.status !== undefined && attempt < attempts;
      if (!raced || (attempt > 1 && sameLines(look().changes, missing.changes))) throw error;
    }
  }
}

/** The changes for netlink; undefined where one of them has no such form. */
function nativeChanges(family: Family, { steps, stale }: Lacking): Change[] | undefined {
  const table = iptablesNftTable(family, 'filter');
  const changes: Change[] = [];
  for (const { chain, native } of steps) {
    if (!native) return undefined;
    changes.push(addNftRule({ table, name: chain }, native));
  }
  for (const { chain, handle } of stale) {
    if (handle === undefined) return undefined;
    changes.push(deleteNftRule(table, { chain, handle }));
  }
  return changes;
}

interface Lacking extends Made {
  /** Everything, for iptables-restore. */
  readonly changes: readonly IptablesChange[];
  readonly stale: readonly ChainRule[];
  /** Something that others need too. */
  readonly shared: boolean;
}

function lacking(there: ChainRules, plan: Plan, { chains, shared, own }: Wanted): Lacking {
  const isMissing = ({ chain, words }: Step) => !has(there, chain, words);
  const newChains = chains.filter((name) => !there.chains.includes(name));
  const [newShared, newOwn] = [shared.filter(isMissing), own.filter(isMissing)];
  // An address is one attachment's: what the network's earlier holder left behind is over.
  const stale = there.rules.filter((rule) => isStaleOwner(rule, plan, own));
  const steps = [...newShared, ...newOwn];
  return {
    chains: newChains,
    steps,
    stale,
    shared: newChains.length + newShared.length > 0,
    changes: [
      ...newChains.map(createChain),
      ...steps.map(({ chain, words, first }) => (first ? insertRule : appendRule)(chain, words)),
      ...stale.map(({ chain, words }) => deleteRule(chain, words)),
    ],
  };
}

function isStaleOwner(rule: ChainRule, { owner }: Plan, own: readonly Step[]): boolean {
  if (rule.chain !== ownersChain) return false;
  const address = wordAfter(rule.words, '-s');
  const comment = commentOf(rule);
  return (
    own.some(({ chain, words }) => chain === ownersChain && wordAfter(words, '-s') === address) &&
    comment.startsWith(networkMark(owner.network)) &&
    !comment.startsWith(ownerMark(owner))
  );
}

function sameLines(a: readonly IptablesChange[], b: readonly IptablesChange[]): boolean {
  return a.map(({ line }) => line).join('\n') === b.map(({ line }) => line).join('\n');
}

function has(there: ChainRules, chain: string, words: readonly string[]): boolean {
  const text = joinWords(words);
  return there.rules.some((rule) => rule.chain === chain && rule.text === text);
}

/**
 * Undoes one ADD. Chains that it created go only together with all that it put into them, and only while nothing
 * else is in them: then the restore fails as a whole, and just the attachment's own rules are taken out.
 */
function takeBack(nl: Netlink, family: Family, plan: Plan, { chains, steps }: Made): void {
  if (chains.includes(forwardChain)) {
    const changes = [
      ...steps.map(({ chain, words }) => deleteRule(chain, words)),
      ...chains.map(deleteChain),
    ];
    try {
      oneAtATime(() => restore(family, { filter: changes }));
      return;
    } catch (error) {
      if (!(error instanceof IptablesError)) throw error; // else: somebody else has begun to use them
    }
  }
  const mark = ownerMark(plan.owner);
  removeFrom(nl, family, mark, (comment) => comment.startsWith(mark), plan.addresses);
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
  const chains = [forwardChain, ownersChain];
  const told = addresses.filter((ip) => ip.family === family);
  const texts = told.map(hostText);
  retryRaces(() => {
    const table = iptablesNftTable(family, 'filter');
    const owned = readNftChains(nl, family, 'filter', [ownersChain], [new TextEncoder().encode(mark)]);
    const own = owned.rules.filter((rule) => isOwn(commentOf(rule))).flatMap(addressBytes);
    const about = [...told.map(({ bytes }) => bytes), ...own];
    if (!about.length) return;
    const leaving = leavingRules(readNftChains(nl, family, 'filter', chains, about), isOwn, texts);
    const byHandle = leaving.filter((rule) => rule.handle !== undefined);
    transaction(
      nl,
      byHandle.map(({ chain, handle }) => deleteNftRule(table, { chain, handle: handle! })),
    );
    // Those that only the program itself could read.
    const byWords = leaving.filter((rule) => rule.handle === undefined);
    restore(family, { filter: deletions(byWords) }, findVariant(family, 'restore', 'nft'));
  });
  const leaving = leavingRules(readLegacyChains(family, 'filter', chains), isOwn, texts);
  restore(family, { filter: deletions(leaving) }, findVariant(family, 'restore', 'legacy'));
}

function addressBytes({ words }: ChainRule): Uint8Array[] {
  const cidr = parseCidr(wordAfter(words, '-s') ?? '');
  return cidr ? [cidr.ip.bytes] : [];
}

function deletions(rules: readonly ChainRule[]): IptablesChange[] {
  return rules.map(({ chain, words }) => deleteRule(chain, words));
}

function leavingRules(
  { rules }: ChainRules,
  isOwn: (comment: string) => boolean,
  told: readonly string[],
): ChainRule[] {
  const owners = rules.filter(({ chain }) => chain === ownersChain);
  const own = owners.filter((rule) => isOwn(commentOf(rule)));
  const sourceOf = ({ words }: ChainRule) => wordAfter(words, '-s') ?? '';
  const kept = new Set(owners.filter((rule) => !own.includes(rule)).map(sourceOf));
  const gone = [...new Set([...own.map(sourceOf), ...told])].filter((address) => !kept.has(address));
  const texts = new Set(gone.flatMap(addressWords).map(joinWords));
  return [...own, ...rules.filter(({ chain, text }) => chain === forwardChain && texts.has(text))];
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
    const about = [sharedMark, ...addresses.map(({ bytes }) => bytes)];
    const there = readChains(nl, family, 'filter', ['FORWARD', ...wanted.chains], about);
    for (const { chain, words } of [...wanted.shared, ...wanted.own]) {
      // The reference's attachments have no owner written down, and work as well.
      if (chain === ownersChain || has(there, chain, words)) continue;
      const isJump = chain === 'FORWARD' || words.includes(plan.adminChain);
      found.push(`expected ${isJump ? `${chain} ` : ''}rule [${words.join(' ')}] not found`);
    }
  }
  return found;
}
