import type * as z from 'zod/mini';

type Issue = z.core.$ZodIssue;

/** What is wrong with a configuration, for its author: path, what was expected there, what is there.
 *  `root` is the value that was read. */
export function sentence(issue: Issue, root: unknown): string {
  const { path, text } = explained(issue, root);
  return `${pathText(path)}${text}`;
}

/** The same in its two parts. */
export function explained(issue: Issue, root: unknown): { path: readonly PropertyKey[]; text: string } {
  const [path, expected, found] = expectation(issue, root);
  const text = expected.startsWith('expected ') ? `${expected}, got ${spell(found)}` : expected;
  return { path, text };
}

/** Path, what was expected there, and what is there. zod/mini has no texts of its own; it says `Invalid input`. */
function expectation(issue: Issue, root: unknown): [readonly PropertyKey[], string, unknown] {
  const found = issue.path.reduce<unknown>(
    // The path was walked by zod on this value; anything missing on the way reads as absent.
    (at, key) =>
      typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
  if (issue.message !== 'Invalid input') return [issue.path, issue.message, found];
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    return closestAlternative(issue, root, found);
  }
  return [issue.path, `expected ${kindText(issue)}`, found];
}

/** One alternative that got past the top of the value explains best; otherwise all are named. */
function closestAlternative(
  issue: Issue & { readonly errors: readonly (readonly Issue[])[] },
  root: unknown,
  found: unknown,
): [readonly PropertyKey[], string, unknown] {
  const firsts = issue.errors.flatMap((alternative) => alternative.slice(0, 1));
  const deep = firsts.find((first) => first.path.length > 0);
  if (deep) return expectation({ ...deep, path: [...issue.path, ...deep.path] }, root);
  const given = firsts.find((first) => first.message !== 'Invalid input' && first.code === 'custom');
  if (given) return [issue.path, given.message, found];
  const kinds = [...new Set(firsts.filter((first) => first.code !== 'invalid_union').map(kindText))];
  return [issue.path, `expected ${kinds.join(' or ')}`, found];
}

const kinds: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

function kindText(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return kinds[issue.expected] ?? `a ${issue.expected}`;
    case 'invalid_value':
      return oneOf(issue.values);
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options)
        ? oneOf(issue.options)
        : 'another kind of value';
    case 'too_small':
      return limit(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return limit(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return issue.pattern === undefined
        ? `a string of the form ${issue.format}`
        : `a string like ${issue.pattern}`;
    case 'unrecognized_keys':
      return `no ${issue.keys.map((key) => JSON.stringify(key)).join(', ')} here`;
    default:
      return 'another value';
  }
}

function oneOf(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(' or ');
}

function limit(origin: string, relation: string, bound: number | bigint): string {
  if (origin === 'string')
    return bound === 1 && relation === 'at least'
      ? 'a string that is not empty'
      : `${relation} ${bound} characters`;
  if (origin === 'array' || origin === 'tuple')
    return `${relation} ${bound} ${bound === 1 ? 'entry' : 'entries'}`;
  return `a number ${relation} ${bound}`;
}

/** `ipam.ranges[0].mtu: `; '' for the value itself. */
function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text === '' ? '' : `${text.replace(/^\./, '')}: `;
}

/** A found value in few words: `the string "x"`, `5`, `nothing`. Long ones are cut, for they may be secrets or pages. */
function spell(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return String(value);
  return value.length > 60
    ? `the string ${JSON.stringify(value.slice(0, 60))}…`
    : `the string ${JSON.stringify(value)}`;
}
