/**
 * The tables of the older iptables, which have no netlink: as iptables-legacy-save prints them, run on a packet that is not
 * sent. A host with them has both kinds, and a packet must get through both.
 */
import { contains, hostCidr, parseCidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { parseIp } from '@cni-ts/address/ip';
import { hasLegacyTable } from '@cni-ts/iptables/legacy-table';
import { findVariant, runProgram } from '@cni-ts/iptables/program';
import { splitWords } from '@cni-ts/iptables/words';
import type { Packet } from './packet.ts';
import { type Deed, harmlessTargets, type Ran } from './rule-machine.ts';
import { type Hook, type RulePlace, runChain, type Step, type Walk } from './walk-rules.ts';

type TableName = 'mangle' | 'nat' | 'filter';

interface LegacyTable {
  readonly name: TableName;
  readonly policies: ReadonlyMap<string, string>;
  readonly rules: ReadonlyMap<string, readonly (readonly string[])[]>;
}

/** Which tables are asked where, in their order. */
const tablesAt: Readonly<Record<Hook, readonly TableName[]>> = {
  prerouting: ['mangle', 'nat'],
  input: ['mangle', 'filter', 'nat'],
  forward: ['mangle', 'filter'],
  output: ['mangle', 'nat', 'filter'],
  postrouting: ['mangle', 'nat'],
};

export class LegacyBook {
  readonly #family: 4 | 6;
  readonly #isLocal: (address: Ip) => boolean;
  readonly #tables = new Map<TableName, LegacyTable>();
  /** Tables that are there and that no program can read. */
  readonly unread: readonly TableName[];

  constructor(family: 4 | 6, isLocal: (address: Ip) => boolean) {
    this.#family = family;
    this.#isLocal = isLocal;
    const there = (['mangle', 'nat', 'filter'] as const).filter((table) => hasLegacyTable(family, table));
    const program = there.length > 0 ? findVariant(family, 'save', 'legacy') : undefined;
    this.unread = program === undefined ? there : [];
    if (program === undefined) return;
    for (const name of there) this.#tables.set(name, readTable(name, runProgram(program, ['-t', name])));
  }

  /** Changes the packet as the rules would. */
  walk(hook: Hook, packet: Packet): Walk {
    const unsure: RulePlace[] = [];
    let [dnat, snat]: (RulePlace | undefined)[] = [];
    for (const name of tablesAt[hook]) {
      const table = this.#tables.get(name);
      if (!table || (name === 'nat' && packet.state !== 'new')) continue;
      const chain = hook.toUpperCase();
      const steps = (name: string) => this.#steps(table, name, packet);
      const ended = runChain(chain, steps, packet, unsure);
      const by =
        ended.kind === 'drop'
          ? ended.at
          : ended.kind === 'end' && table.policies.get(chain) === 'DROP'
            ? this.#place(table, chain, undefined, undefined)
            : undefined;
      if (by) return { verdict: 'drop', by, dnat, snat, unsure };
      if (ended.kind === 'dnat') dnat = ended.at;
      if (ended.kind === 'snat') snat = ended.at;
    }
    return { verdict: 'accept', by: undefined, dnat, snat, unsure };
  }

  *#steps(table: LegacyTable, chain: string, packet: Packet): Iterable<Step> {
    for (const [at, words] of (table.rules.get(chain) ?? []).entries()) {
      const { matches, deed, comment } = runWords(words, packet, this.#isLocal);
      if (!deed || matches === 'no') continue;
      yield { matches, deed, place: this.#place(table, chain, at + 1, comment) };
    }
  }

  #place({ name }: LegacyTable, chain: string, rule: number | undefined, comment: string | undefined) {
    const family = this.#family === 4 ? 'ip' : 'ip6';
    return { chain: `legacy ${family} ${name} ${chain}`, chainName: chain, rule, comment };
  }
}

function readTable(name: TableName, text: string): LegacyTable {
  const policies = new Map<string, string>();
  const rules = new Map<string, string[][]>();
  for (const line of text.split('\n')) {
    if (line.startsWith(':')) {
      const [chain = '', policy = ''] = line.slice(1).split(' ');
      policies.set(chain, policy);
      rules.set(chain, []);
    }
    if (!line.startsWith('-A ')) continue;
    const [, chain = '', ...words] = splitWords(line);
    rules.get(chain)?.push(words);
  }
  return { name, policies, rules };
}

/** One rule by the words that iptables-save has for it. */
function runWords(
  words: readonly string[],
  packet: Packet,
  isLocal: (address: Ip) => boolean,
): Ran & { comment: string | undefined } {
  let matches: Ran['matches'] = 'yes';
  let deed: Deed | undefined;
  let comment: string | undefined;
  let not = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '!') {
      not = true;
      continue;
    }
    const value = words[at + 1] ?? '';
    if (word === '--comment') comment = value;
    if (word === '-j' || word === '-g') {
      deed = targetOf(value, word === '-g', words.slice(at + 2), packet, matches === 'yes');
      break;
    }
    const holds = silent.includes(word) ? true : asks(word, value, packet, isLocal);
    if (holds === undefined) matches = matches === 'no' ? 'no' : 'perhaps';
    else if (holds === not && !silent.includes(word)) return { matches: 'no', deed: undefined, comment };
    not = false;
    if (value !== '' && !value.startsWith('-') && value !== '!') at++;
  }
  return { matches, deed, comment };
}

/** What asks nothing. */
const silent = ['-m', '--comment'];

/** Whether the packet is so; undefined where that cannot be told. */
function asks(
  word: string,
  value: string,
  packet: Packet,
  isLocal: (address: Ip) => boolean,
): boolean | undefined {
  switch (word) {
    case '-s':
      return lies(value, packet.source);
    case '-d':
      return lies(value, packet.destination);
    case '-i':
      return isNamed(value, packet.input?.name);
    case '-o':
      return isNamed(value, packet.output?.name);
    case '-p':
      return (
        value === packet.protocol || value === 'all' || (value === 'ipv6-icmp' && packet.protocol === 'icmp')
      );
    case '--dport':
    case '--dports':
      return isAmong(value, packet.destinationPort);
    case '--sport':
    case '--sports':
      return isAmong(value, packet.sourcePort);
    case '--ctstate':
    case '--state':
      return value
        .toLowerCase()
        .split(',')
        .some(
          (state) =>
            state === packet.state ||
            (state === 'dnat' && packet.translated.destination) ||
            (state === 'snat' && packet.translated.source),
        );
    case '--mark': {
      const [mark = 0, mask = 0xffffffff] = value.split('/').map(Number);
      return (packet.mark & mask) >>> 0 === mark >>> 0;
    }
    case '--dst-type':
      return value === 'LOCAL' ? isLocal(packet.destination) : undefined;
    default:
      return undefined;
  }
}

function lies(text: string, address: Ip): boolean | undefined {
  const ip = parseIp(text);
  const network = ip ? hostCidr(ip) : parseCidr(text);
  return network && contains(network, address);
}

function isNamed(pattern: string, name = ''): boolean {
  return pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** `80`, `80:90`, `80,443` */
function isAmong(text: string, port: number): boolean {
  return text.split(',').some((part) => {
    const [first = 0, last = first] = part.split(':').map(Number);
    return port >= first && port <= last;
  });
}

function targetOf(
  target: string,
  isGoto: boolean,
  options: readonly string[],
  packet: Packet,
  isSure: boolean,
): Deed | undefined {
  const option = (name: string) => options[options.indexOf(name) + 1] ?? '';
  switch (target) {
    case 'ACCEPT':
      return { kind: 'accept' };
    case 'DROP':
    case 'REJECT':
      return { kind: 'drop' };
    case 'RETURN':
      return { kind: 'return' };
    case 'MASQUERADE':
      return { kind: 'masquerade' };
    case 'SNAT':
      return { kind: 'snat' };
    case 'REDIRECT':
      return { kind: 'dnat', address: undefined, port: undefined };
    case 'DNAT': {
      const [, host = '', port] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(option('--to-destination')) ?? [];
      return { kind: 'dnat', address: parseIp(host), port: port === undefined ? undefined : Number(port) };
    }
    case 'MARK': {
      const [value = 0, mask = 0xffffffff] = option('--set-xmark').split('/').map(Number);
      if (isSure) packet.mark = (((packet.mark & ~mask) >>> 0) ^ value) >>> 0;
      return undefined;
    }
    default:
      return harmlessTargets.includes(target) ? undefined : { kind: isGoto ? 'goto' : 'jump', chain: target };
  }
}
