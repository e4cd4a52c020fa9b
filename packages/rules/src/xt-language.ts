import type { Cidr } from '@cni-ts/address/cidr';
import {
  xtAddress,
  xtComment,
  xtMark,
  xtMultiport,
  xtPort,
  xtProtocol,
  xtState,
  xtToLocal,
} from '@cni-ts/iptables/native-match';
import { xtDnat, xtMasquerade, xtSetMark } from '@cni-ts/iptables/native-target';
import type { Family } from '@cni-ts/iptables/program';
import { accept, counter, drop, goto, jump, toCaller } from '@cni-ts/nftables/action';
import type { Operator } from '@cni-ts/nftables/match';
import { comment, type Rule, rule, type Statement } from '@cni-ts/nftables/rule';
import type { Action, RuleSpec } from './rule-spec.ts';
import { readWords, ruleWords } from './words-language.ts';

/** Comments of iptables are a match; as nft has them, they survive `nft -f`, and iptables reads both. */
export type CommentForm = 'match' | 'userdata';

/**
 * The rule as iptables-nft writes it, for writing it by netlink; undefined for what only the program should write:
 * links, a protocol excepted, conditions in words that are not understood, and values it would refuse.
 */
export function xtRule(family: Family, spec: Writable, form: CommentForm = 'match'): Rule | undefined {
  const of: Writable = spec.words?.length ? readWords(family, ruleWords(spec)) : spec;
  const { when = {}, except = {}, action, comment: text, whole = true } = of;
  const { from, to, input, output, protocol, port, ports, state, mark, local, mac, original } = when;
  const links = input ?? output ?? except.input ?? except.output;
  if (!whole || !action || mac || original || links !== undefined || except.protocol) return undefined;
  const all: Statement[] = protocol ? [xtProtocol(protocol)] : [];
  const written =
    addAddress(all, family, 'source', '==', from) &&
    addAddress(all, family, 'source', '!=', except.from) &&
    addAddress(all, family, 'destination', '==', to) &&
    addAddress(all, family, 'destination', '!=', except.to);
  if (!written) return undefined;
  if (state) all.push(xtState(state));
  if (text !== undefined && form === 'match') {
    if (!canStand(text)) return undefined;
    all.push(xtComment(text));
  }
  if (!protocol && (port !== undefined || ports)) return undefined;
  if (protocol && port !== undefined) all.push(xtPort(protocol, port));
  if (ports) {
    if (ports.length > 15) return undefined;
    all.push(xtMultiport(ports));
  }
  if (mark) all.push(xtMark(mark.value, mark.mask));
  if (local) all.push(xtToLocal);
  const target = targetOf(family, action);
  if (!target) return undefined;
  all.push(counter, target);
  if (text !== undefined && form === 'userdata') all.push(comment(text));
  return rule(...all);
}

/** A RuleSpec, or what was read of one. */
type Writable = Pick<RuleSpec, 'when' | 'except' | 'comment' | 'words'> & {
  readonly action?: Action | undefined;
  readonly whole?: boolean;
};

/** Whether iptables-nft would take the address, if there is one. */
function addAddress(
  all: Statement[],
  family: Family,
  side: 'source' | 'destination',
  op: Operator,
  cidr: Cidr | undefined,
): boolean {
  if (!cidr) return true;
  if (cidr.ip.family !== family || cidr.prefix === 0) return false;
  all.push(xtAddress(side, op, cidr));
  return true;
}

/** A comment may be 255 bytes long, and what ends a line cannot stand in the program's language. */
function canStand(text: string): boolean {
  // Three looks take half of what a regular expression does.
  if (text.includes('\n') || text.includes('\r') || text.includes('\0')) return false;
  return text.length * 3 <= 255 || new TextEncoder().encode(text).length <= 255;
}

function targetOf(family: Family, action: Action): Statement | undefined {
  switch (action.kind) {
    case 'accept':
      return accept;
    case 'drop':
      return drop;
    case 'return':
      return toCaller;
    case 'masquerade':
      return xtMasquerade(family);
    case 'jump':
      // Another target's name is no chain: the kernel says so.
      return jump({ name: action.chain });
    case 'goto':
      return goto({ name: action.chain });
    case 'dnat':
      return action.address.family === family ? xtDnat(action.address, action.port) : undefined;
    case 'mark':
      return xtSetMark(action.value, action.mask);
    case 'other':
      return undefined;
  }
}
