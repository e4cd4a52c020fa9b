import * as nft from '@cni-ts/nftables/action';
import { originalDestination, originalPort } from '@cni-ts/nftables/field';
import {
  ctState,
  ctStatus,
  daddr,
  daddrIsLocal,
  dport,
  etherSaddr,
  iifname,
  is,
  l4,
  mark,
  oifname,
  saddr,
} from '@cni-ts/nftables/match';
import { comment, type Rule, rule, type Statement } from '@cni-ts/nftables/rule';
import type { Action, Exception, RuleSpec, State, When } from './rule-spec.ts';

/** A rule in nftables' own language, made once for each RuleSpec. What only iptables can say throws. */
export function nftRule(spec: RuleSpec): Rule {
  let made = known.get(spec);
  if (!made) {
    made = rule(
      ...conditions(spec.when, spec.except),
      ...(spec.statements ?? []),
      target(spec.action),
      ...commenting(spec.comment),
    );
    known.set(spec, made);
  }
  return made;
}

const known = new WeakMap<RuleSpec, Rule>();

function conditions(when: When = {}, except: Exception = {}): Statement[] {
  const all: Statement[] = [];
  const { protocol, original } = when;
  if (protocol && original) {
    const { port, address } = original;
    all.push(l4(protocol));
    all.push(is(originalPort, '==', port));
    if (address) all.push(is(originalDestination[address.family], '==', address));
  }
  if (when.from) all.push(saddr(when.from));
  if (except.from) all.push(saddr('!=', except.from));
  if (when.to) all.push(daddr(when.to));
  if (except.to) all.push(daddr('!=', except.to));
  if (when.input !== undefined) all.push(iifname(when.input));
  if (except.input !== undefined) all.push(iifname('!=', except.input));
  if (when.output !== undefined) all.push(oifname(when.output));
  if (except.output !== undefined) all.push(oifname('!=', except.output));
  if (when.mac) all.push(etherSaddr(when.mac));
  if (when.ports) throw new Error(`nft has no list of ports here: ${when.ports.join(',')}`);
  if (protocol && !(original && when.port === undefined)) {
    all.push(when.port === undefined ? l4(protocol) : dport(protocol, when.port));
  }
  if (when.state) all.push(states(when.state));
  if (when.mark) all.push(mark(when.mark.value, when.mark.mask));
  if (when.local) all.push(daddrIsLocal);
  return all;
}

/** Here translations are another field than states, and nothing is asked of both at once. */
function states(of: readonly State[]): Statement {
  const statuses = of.filter((one) => one === 'dnat' || one === 'snat');
  return statuses.length === of.length
    ? ctStatus(...statuses)
    : ctState(...of.filter((one) => one !== 'dnat' && one !== 'snat'));
}

function commenting(text: string | undefined): Statement[] {
  return text === undefined ? [] : [comment(text)];
}

function target(action: Action): Statement {
  switch (action.kind) {
    case 'accept':
      return nft.accept;
    case 'drop':
      return nft.drop;
    case 'return':
      return nft.toCaller;
    case 'masquerade':
      return nft.masquerade;
    case 'jump':
      return nft.jump({ name: action.chain });
    case 'goto':
      return nft.goto({ name: action.chain });
    case 'dnat':
      return nft.dnat(action.address, action.port);
    case 'mark':
      return nft.setMark(action.value, action.mask);
    case 'other':
      return action.statement;
  }
}
