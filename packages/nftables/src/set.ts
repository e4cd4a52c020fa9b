import { attributes, nest } from '@cni-ts/netlink/attributes';
import { asciiz, be32, bytes, list } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';
import { commentBytes, readComment } from './comment.ts';
import { type DataType, dataTypes } from './data-type.ts';
import { nftData } from './expression.ts';
import { families, messageType, nfgenmsg } from './nfnetlink.ts';
import { ask, type Question, question } from './question.ts';
import { type Table, tableText } from './table.ts';
import { type Change, change, unlessAbsent } from './transaction.ts';

const NFT_MSG_NEWSET = 9;
const NFT_MSG_GETSET = 10;
const NFT_MSG_DELSET = 11;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_GETSETELEM = 13;
const NFT_MSG_DELSETELEM = 14;
const NFT_SET_MAP = 8;
const SET_COMMENT = 7;
/** Not one of nft's types: the kernel's own number for verdicts. */
const NFT_DATA_VERDICT = 0xffffff00;
const NFT_JUMP = -3 >>> 0;

/**
 * A set, or with `value` a map: `{ key: ['ipv4_addr', 'inet_proto', 'inet_service'], value: ['ipv4_addr', 'inet_service'] }`.
 * `value: 'verdict'`: the map leads to chains.
 */
export interface NftSet {
  readonly table: Table;
  readonly name: string;
  readonly key: readonly DataType[];
  readonly value?: readonly DataType[] | 'verdict';
  readonly comment?: string;
}

/** Key and value as lists, in the order of the set's declaration; values as `dataTypes` says. */
export interface Element {
  readonly key: readonly unknown[];
  readonly value?: readonly unknown[];
  /** In a map of verdicts: the chain to jump to. */
  readonly jump?: string;
  readonly comment?: string;
}

const setMessage = message(
  nfgenmsg,
  attributes('NFTA_SET_', {
    table: [1, asciiz],
    name: [2, asciiz],
    flags: [3, be32],
    keyType: [4, be32],
    keyLength: [5, be32],
    dataType: [6, be32],
    dataLength: [7, be32],
    id: [10, be32], // names the set within its transaction
    userdata: [13, bytes],
  }),
);

const element = attributes('NFTA_SET_ELEM_', {
  key: [1, nest(nftData)],
  data: [2, nest(nftData)],
  flags: [3, be32],
  userdata: [6, bytes],
  keyEnd: [10, nest(nftData)],
});

const elementsMessage = message(
  nfgenmsg,
  attributes('NFTA_SET_ELEM_LIST_', {
    table: [1, asciiz],
    set: [2, asciiz],
    elements: [3, nest(attributes('NFTA_LIST_', { all: [1, list(element)] }))],
  }),
);

let lastId = 0;

/** There already: stays with its elements; EEXIST when it was declared otherwise. */
export function addSet(set: NftSet): Change {
  const { table, name, key, value, comment } = set;
  return change(`add ${kind(set)} ${setText(set)}`, NFT_MSG_NEWSET, NLM_F.create, setMessage, {
    family: families[table.family],
    table: table.name,
    name,
    flags: value ? NFT_SET_MAP : 0,
    keyType: typeNumber(key),
    keyLength: joinedLength(key),
    ...(value === 'verdict' && { dataType: NFT_DATA_VERDICT }),
    ...(value && value !== 'verdict' && { dataType: typeNumber(value), dataLength: joinedLength(value) }),
    id: ++lastId,
    userdata: comment === undefined ? undefined : commentBytes(comment, SET_COMMENT),
  });
}

/** With its elements. EBUSY while a rule uses it, ENOENT if it is not there. */
export function deleteSet(set: NftSet): Change {
  return change(`delete ${kind(set)} ${setText(set)}`, NFT_MSG_DELSET, 0, setMessage, {
    family: families[set.table.family],
    table: set.table.name,
    name: set.name,
  });
}

/** Whether a set of this name is there. */
export function setQuestion({ table, name, ...set }: NftSet): Question<boolean> {
  return question(
    `look for ${setText({ table, name, ...set })}`,
    {
      name: 'NFT_MSG_GETSET',
      type: messageType('nftables', NFT_MSG_GETSET),
      flags: 0,
      message: setMessage,
      value: { family: families[table.family], table: table.name, name },
    },
    (found) => found !== undefined,
  );
}

/** A key that is there already fails with EEXIST: a key has one owner. */
export function addElements(set: NftSet, elements: readonly Element[]): Change {
  const flags = NLM_F.create | NLM_F.exclusive;
  return elementsChange('add', NFT_MSG_NEWSETELEM, flags, set, elements);
}

/** ENOENT, and nothing is done, if one of the keys is not there. */
export function deleteElements(set: NftSet, elements: readonly Element[]): Change {
  const keys = elements.map(({ key }) => ({ key }));
  return elementsChange('delete', NFT_MSG_DELSETELEM, 0, set, keys);
}

/** Empties the set; one that is empty is fine, one that is not there is ENOENT. */
export function flushSet(set: NftSet): Change {
  return change(
    `flush ${kind(set)} ${setText(set)}`,
    NFT_MSG_DELSETELEM,
    0,
    elementsMessage,
    elementsOf(set),
  );
}

/** For the element with this key: one look-up, however large the set. Undefined if it (or the set) is not there. */
export function elementQuestion(set: NftSet, key: readonly unknown[]): Question<Element | undefined> {
  return question(
    `look into ${setText(set)}`,
    {
      name: 'NFT_MSG_GETSETELEM',
      type: messageType('nftables', NFT_MSG_GETSETELEM),
      flags: 0,
      message: elementsMessage,
      value: elementsOf(set, [{ key }]),
    },
    (found) => {
      const one = found?.elements?.all?.[0];
      return one && readElement(set, one);
    },
  );
}

/** The element with this key; undefined if it (or the set) is not there. */
export function findElement(nl: Netlink, set: NftSet, key: readonly unknown[]): Element | undefined {
  return ask(nl, [elementQuestion(set, key)])[0];
}

/** All elements, in no particular order. A set that is not there has none. */
export function listElements(nl: Netlink, set: NftSet): Element[] {
  const request = {
    name: 'NFT_MSG_GETSETELEM',
    type: messageType('nftables', NFT_MSG_GETSETELEM),
    flags: 0,
    message: elementsMessage,
    value: elementsOf(set),
  };
  const parts = unlessAbsent(`list ${setText(set)}`, () => nl.dump(request)) ?? [];
  return parts.flatMap((part) => (part.elements?.all ?? []).map((one) => readElement(set, one)));
}

function elementsChange(
  verb: string,
  number: number,
  flags: number,
  set: NftSet,
  elements: readonly Element[],
): Change {
  const shown = elements.map(({ key }) => keyText(set.key, key)).join(', ');
  const what = `${verb} element ${setText(set)} { ${shown} }`;
  return change(what, number, flags, elementsMessage, elementsOf(set, elements));
}

/** `10.0.0.1 . tcp . 8080`, as nft writes a key. */
export function keyText(types: readonly DataType[], key: readonly unknown[]): string {
  return types.map((name, i) => dataTypes[name].text(key[i])).join(' . ');
}

function elementsOf(set: NftSet, elements?: readonly Element[]) {
  return {
    family: families[set.table.family],
    table: set.table.name,
    set: set.name,
    elements: elements && {
      all: elements.map(({ key, value, jump, comment }) => ({
        key: { value: join(set.key, key) },
        data: dataOf(set, value, jump),
        userdata: comment === undefined ? undefined : commentBytes(comment),
      })),
    },
  };
}

function dataOf(set: NftSet, value: readonly unknown[] | undefined, jump: string | undefined) {
  if (set.value === 'verdict')
    return jump === undefined ? undefined : { verdict: { code: NFT_JUMP, chain: jump } };
  return value && set.value ? { value: join(set.value, value) } : undefined;
}

function readElement(set: NftSet, from: ReturnType<typeof element.read>): Element {
  const comment = readComment(from.userdata);
  const value = from.data?.value;
  const jump = from.data?.verdict?.chain;
  return {
    key: split(set.key, from.key?.value ?? new Uint8Array()),
    ...(set.value && set.value !== 'verdict' && value ? { value: split(set.value, value) } : {}),
    ...(jump === undefined ? {} : { jump }),
    ...(comment === undefined ? {} : { comment }),
  };
}

/** The parts of a key, each filled up to whole words as in the register file; a single one stays as short as it is. */
function join(types: readonly DataType[], values: readonly unknown[]): Uint8Array {
  const joined = new Uint8Array(joinedLength(types));
  let at = 0;
  for (const [i, name] of types.entries()) {
    joined.set(dataTypes[name].bytes(values[i]), at);
    at += words(name);
  }
  return joined;
}

function split(types: readonly DataType[], joined: Uint8Array): unknown[] {
  let at = 0;
  return types.map((name) => {
    const part = joined.slice(at, at + dataTypes[name].length);
    at += words(name);
    return dataTypes[name].read(part);
  });
}

function words(name: DataType): number {
  return (dataTypes[name].length + 3) & ~3;
}

function joinedLength(types: readonly DataType[]): number {
  if (types.length === 1) return dataTypes[types[0]!].length;
  return types.reduce((total, name) => total + words(name), 0);
}

/** nft puts the numbers of a concatenation's types side by side, six bits each. */
function typeNumber(types: readonly DataType[]): number {
  return types.reduce((all, name) => (all << 6) | dataTypes[name].number, 0);
}

function kind(set: NftSet): string {
  return set.value ? 'map' : 'set';
}

function setText(set: NftSet): string {
  return `${tableText(set.table)} ${set.name}`;
}

/** A set as the kernel has it, whoever made it, with the bytes of its keys and values as the packet has them. */
export interface RawSet {
  readonly keyLength: number;
  /** Whether its elements are ranges, of which two stand for a beginning and an end. */
  readonly ranges: boolean;
  readonly elements: readonly RawElement[];
}

export interface RawElement {
  readonly key: Uint8Array;
  /** Of a range that has both in one element: the last that belongs to it. */
  readonly last: Uint8Array | undefined;
  /** Where a range is over: the first that does not belong to it. */
  readonly isEnd: boolean;
  /** What everything else leads to. */
  readonly isCatchAll: boolean;
  readonly value: Uint8Array | undefined;
  readonly verdict: { readonly code?: number | undefined; readonly chain?: string | undefined } | undefined;
}

/** include/uapi/linux/netfilter/nf_tables.h */
const NFT_SET_INTERVAL = 4;
const NFT_SET_ELEM_INTERVAL_END = 1;
const NFT_SET_ELEM_CATCHALL = 2;

/** Undefined for one that is not there. */
export function readSet(nl: Netlink, table: Table, name: string): RawSet | undefined {
  const family = families[table.family];
  const found = unlessAbsent(`look for ${tableText(table)} ${name}`, () =>
    nl.get({
      name: 'NFT_MSG_GETSET',
      type: messageType('nftables', NFT_MSG_GETSET),
      flags: 0,
      message: setMessage,
      value: { family, table: table.name, name },
    }),
  );
  if (!found) return undefined;
  const parts = nl.dump({
    name: 'NFT_MSG_GETSETELEM',
    type: messageType('nftables', NFT_MSG_GETSETELEM),
    flags: 0,
    message: elementsMessage,
    value: { family, table: table.name, set: name },
  });
  const elements = parts.flatMap((part) => part.elements?.all ?? []);
  return {
    keyLength: found.keyLength ?? 0,
    ranges: ((found.flags ?? 0) & NFT_SET_INTERVAL) !== 0,
    elements: elements.map(({ key, data, flags = 0, keyEnd }) => ({
      key: key?.value ?? new Uint8Array(),
      last: keyEnd?.value,
      isEnd: (flags & NFT_SET_ELEM_INTERVAL_END) !== 0,
      isCatchAll: (flags & NFT_SET_ELEM_CATCHALL) !== 0,
      value: data?.value,
      verdict: data?.verdict,
    })),
  };
}
