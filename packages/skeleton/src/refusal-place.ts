/**
 * Where in a configuration a plugin's refusal belongs. Its words are the reference's, so callers know them, and most do not
 * name a field as it is spelled; what tells the place best is looked for first.
 */
import type { FindingCode } from '@cni-ts/spec/finding-codes';

type Place = readonly (string | number)[];

export interface RefusalPlace {
  readonly path: Place;
  readonly code: FindingCode;
  /** The details say no more than the place. */
  readonly isDetails: boolean;
}

/** Words of the reference for a field. */
const otherNames: Readonly<Record<string, string>> = {
  masqmarkbit: 'markMasqBit',
  promiscuousmode: 'promiscMode',
};

export function placeOfRefusal(message: string, details: string, json: unknown): RefusalPlace {
  const code = codeOf(message);
  const fromDetails = pathAtBeginning(details);
  const after = details.charAt(textOf(fromDetails).length);
  const isField = fromDetails.length > 0 && (after === '' || after === ':' || isKnownTop(fromDetails, json));
  if (isField) return { path: fromDetails, code, isDetails: after === '' };
  const fromMessage = pathAtBeginning(message.includes(': ') ? message : '');
  if (fromMessage.length > 0 && isKnownTop(fromMessage, json))
    return { path: fromMessage, code, isDetails: false };
  const leaves = leavesOf(json, []);
  const quoted = leaves.filter(({ value }) => value.length > 2 && message.includes(value));
  const byKey = (among: readonly Leaf[]) =>
    longest(among.filter(({ name }) => plain(message).includes(name)));
  const found = byKey(quoted) ?? byKey(leaves) ?? longest(quoted);
  return { path: found?.path ?? [], code, isDetails: false };
}

function codeOf(message: string): FindingCode {
  if (/vlan id|trunk (id|minid|maxid)|minid is greater/i.test(message)) return 'CNI1020';
  if (/\bmtu\b/i.test(message)) return 'CNI1021';
  if (/valid vrf name|could not add|interface name|chain name/i.test(message)) return 'CNI1022';
  if (/invalid mac/i.test(message)) return 'CNI1023';
  if (/unknown|unrecognized|must be between|wrong/i.test(message)) return 'CNI1011';
  if (/cannot|can not|both|at the same time|mapped twice|requested but/i.test(message)) return 'CNI1015';
  if (/invalid (CIDR|IP|gateway)|gateway IP|CIDR notation/i.test(message)) return 'CNI2001';
  return 'CNI1014';
}

/** `ipam.ranges[0][1].subnet: …` or the path alone. */
function pathAtBeginning(text: string): Place {
  const found = /^[A-Za-z][\w-]*(?:\.[\w-]+|\[\d+\])*(?=$|:| )/.exec(text)?.[0] ?? '';
  return [...found.matchAll(/[\w-]+/g)].map(([part]) => (/^\d+$/.test(part) ? Number(part) : part));
}

function textOf(path: Place): string {
  return path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${key}`))
    .join('');
}

function isKnownTop([first]: Place, json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false;
  return Object.keys(json).some((key) => key.toLowerCase() === String(first).toLowerCase());
}

interface Leaf {
  readonly path: Place;
  /** The key as it is compared. */
  readonly name: string;
  readonly value: string;
}

const passed = ['name', 'type', 'cniversion', 'prevresult', 'id'];

function leavesOf(value: unknown, path: Place): Leaf[] {
  const key = path.at(-1);
  const name = typeof key === 'string' ? plain(key) : '';
  const isPassed = name === '' || passed.includes(name);
  if (typeof value !== 'object' || value === null) {
    const own = { path, name: isPassed ? '\0' : name, value: passed.includes(name) ? '' : String(value) };
    const other = Object.entries(otherNames).find(([, one]) => plain(one) === name)?.[0];
    return [own, ...(other === undefined ? [] : [{ ...own, name: other }])];
  }
  const inner = Array.isArray(value)
    ? value.flatMap((item, i) => leavesOf(item, [...path, i]))
    : Object.entries(value).flatMap(([member, item]) =>
        member === 'prevResult' ? [] : leavesOf(item, [...path, member]),
      );
  return isPassed ? inner : [{ path, name, value: '' }, ...inner];
}

function longest(leaves: readonly Leaf[]): Leaf | undefined {
  let best: Leaf | undefined;
  for (const one of leaves) {
    if (best === undefined || one.name.length > best.name.length) best = one;
  }
  return best;
}

function plain(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '');
}
