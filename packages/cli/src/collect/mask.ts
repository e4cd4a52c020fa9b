/**
 * Takes out of what is collected what nobody else is to read: values whose key says that they are secret, credentials in
 * addresses and headers, keys and certificates in their usual form, and arguments that are not known to be harmless. What was
 * once found to be secret is taken out wherever it stands, so in an error's text too. Rather too much than too little.
 */
import { isJsonObject, parseJson, wholeNumberText } from '@cni-ts/libcni/json';
import { isSecretKey } from '@cni-ts/spec/secret-key';

/** What stands in its place. */
export const masked = '(masked)';

/** Where something was taken out; never what. */
export interface Masked {
  readonly file: string;
  /** `/plugins/0/token`, or what kind of secret it was by its form. */
  readonly what: string;
}

/** Arguments of CNI_ARGS that only name things. */
const harmlessArguments = new Set([
  'IgnoreUnknown',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_INFRA_CONTAINER_ID',
  'K8S_POD_UID',
  'IP',
  'MAC',
  'GATEWAY',
]);

const forms: readonly (readonly [what: string, form: RegExp, kept: string])[] = [
  ['a key or certificate', /-----BEGIN[^-]*-----[\s\S]*?(?:-----END[^-]*-----|$)/g, masked],
  [
    'credentials in an address',
    /([a-zA-Z][a-zA-Z0-9+.-]*:\/\/)[^/\s"'@]*(?:@(?=[^/\s"']*@)[^/\s"'@]*)*@/g,
    `$1${masked}@`,
  ],
  ['a bearer token', /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi, `$1 ${masked}`],
  ['a token', /\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?/g, masked],
  [
    'a parameter of an address',
    /([?&;](?:[\w.-]*(?:password|passwd|secret|token|key|auth|sig|signature|credential)[\w.-]*)=)[^&\s"'#;]+/gi,
    `$1${masked}`,
  ],
];

/** A shorter word may stand anywhere. */
const shortestSecret = 6;

export class Masker {
  readonly found: Masked[] = [];
  readonly #secrets = new Set<string>();
  readonly #names: ReadonlySet<string>;

  /** `names`: of networks, plugins and the like, which stay though somebody may use one as a password. */
  constructor(names: Iterable<string> = []) {
    this.#names = new Set(names);
  }

  /** A file's text: as JSON where it is some, printed anew; else line by line. */
  text(file: string, text: string): string {
    let json: unknown;
    try {
      json = parseJson(text);
    } catch {
      return this.#plain(file, text);
    }
    return `${JSON.stringify(this.value(file, json, ''), undefined, 2)}\n`;
  }

  /** A value of JSON; `at`: its pointer. */
  value(file: string, value: unknown, at: string): unknown {
    if (typeof value === 'string') return this.#string(file, value, at);
    if (Array.isArray(value)) {
      if (isPairs(value, at)) return value.map((pair, index) => this.#pair(file, pair, `${at}/${index}`));
      return value.map((one, index) => this.value(file, one, `${at}/${index}`));
    }
    if (!isJsonObject(value)) return value;
    const digits = wholeNumberText(value);
    if (digits !== undefined) return digits;
    const copy: Record<string, unknown> = {};
    for (const [key, one] of Object.entries(value)) {
      const place = `${at}/${key}`;
      const isArguments =
        /\/(args|cniArgs)$/.test(at) && typeof one === 'string' && !harmlessArguments.has(key);
      copy[this.#forms(file, key)] =
        isSecretKey(key) || isArguments ? this.#take(file, one, place) : this.value(file, one, place);
    }
    return copy;
  }

  /** Once all is collected: what was found to be secret in one file may stand in another. */
  everywhere(file: string, text: string): string {
    let safe = text;
    for (const secret of [...this.#secrets].sort((a, b) => b.length - a.length)) {
      for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1)])) {
        if (!safe.includes(form)) continue;
        safe = safe.replaceAll(form, masked);
        this.found.push({ file, what: 'what is secret in another place' });
      }
    }
    return safe;
  }

  #string(file: string, text: string, at: string): string {
    // A configuration within a configuration.
    if (/^\s*[{[]/.test(text)) {
      try {
        return JSON.stringify(this.value(file, parseJson(text), at));
      } catch {
        return this.#plain(file, text);
      }
    }
    if (/\/(args|cniArgs|CNI_ARGS)$/.test(at) && text.includes('=')) {
      return text
        .split(';')
        .map((pair) => {
          const [key = '', ...rest] = pair.split('=');
          return String(this.#pair(file, [key, rest.join('=')], at).join('='));
        })
        .join(';');
    }
    return this.#forms(file, text, at);
  }

  #pair(file: string, pair: readonly unknown[], at: string): unknown[] {
    const [key, value] = pair;
    if (harmlessArguments.has(String(key))) return [key, this.value(file, value, at)];
    return [key, this.#take(file, value, `${at} ${String(key)}`)];
  }

  /** Nothing is there: nothing is taken, which tells more than a mask does. */
  #take(file: string, value: unknown, at: string): unknown {
    if (value === '' || value === null || value === undefined || typeof value === 'boolean') return value;
    this.#remember(value);
    this.found.push({ file, what: at });
    return masked;
  }

  #remember(value: unknown): void {
    const digits = wholeNumberText(value);
    if (typeof value === 'string' || typeof value === 'number' || digits !== undefined) {
      const text = digits ?? String(value);
      if (text.length >= shortestSecret && !this.#names.has(text)) this.#secrets.add(text);
    } else if (Array.isArray(value)) for (const one of value) this.#remember(one);
    else if (isJsonObject(value)) for (const one of Object.values(value)) this.#remember(one);
  }

  #forms(file: string, text: string, at = ''): string {
    let safe = text;
    for (const [what, form, kept] of forms) {
      const before = safe;
      safe = safe.replace(form, kept);
      if (safe !== before) this.found.push({ file, what: at === '' ? what : `${at}: ${what}` });
    }
    return safe;
  }

  /** `key: value` in no language in particular. Where a secret's value has no end that one can be sure of, nothing that
   *  comes after it stays. */
  #plain(file: string, text: string): string {
    const lines = this.#forms(file, text).split('\n');
    const kept: string[] = [];
    for (const [at, line] of lines.entries()) {
      const [whole, start = '', key = '', value = ''] =
        /^(.*?["']?([\w.-]+)["']?\s*[:=]\s*)(.*)$/.exec(line) ?? [];
      const inner = whole === undefined ? undefined : this.#innerSecret(line);
      if (inner === undefined && !(whole !== undefined && isSecretKey(key))) {
        kept.push(line);
        continue;
      }
      const head = inner?.start ?? start;
      const rest = inner?.value ?? value;
      this.found.push({ file, what: `line ${at + 1}: ${inner?.key ?? key}` });
      this.#remember(firstValue(rest));
      kept.push(`${head}${masked}`);
      if (isOpen(rest)) {
        const left = lines.length - at - 1;
        if (left > 0)
          kept.push(
            `(${left} lines after it left out: the file is no JSON, so the secret's end is not known)`,
          );
        break;
      }
    }
    return kept.join('\n');
  }

  /** The first of several keys in a line that is a secret's. */
  #innerSecret(line: string): { start: string; key: string; value: string } | undefined {
    for (const found of line.matchAll(/["']?([\w.-]+)["']?\s*[:=]\s*/g)) {
      const [whole, key = ''] = found;
      const end = (found.index ?? 0) + whole.length;
      if (isSecretKey(key)) return { start: line.slice(0, end), key, value: line.slice(end) };
    }
    return undefined;
  }
}

function firstValue(rest: string): string {
  const [, double, single, bare] = /^\s*(?:"((?:[^"\\]|\\.)*)|'([^']*)|([^\s,;}\]]+))/.exec(rest) ?? [];
  return double ?? single ?? bare ?? '';
}

/** Whether a value goes on in the next line, as far as one can tell. */
function isOpen(rest: string): boolean {
  if (rest.trim() === '' || /[|>]\s*$/.test(rest)) return true;
  const count = (letter: RegExp) => rest.match(letter)?.length ?? 0;
  return count(/[[{]/g) > count(/[\]}]/g) || count(/"/g) % 2 === 1 || count(/'/g) % 2 === 1;
}

/** CNI_ARGS as the cache keeps them. */
function isPairs(value: readonly unknown[], at: string): value is unknown[][] {
  return /\/(cniArgs)$/.test(at) && value.every((pair) => Array.isArray(pair) && pair.length === 2);
}
