/**
 * Results as untrusted JSON, read by hand rather than by a schema: every plugin in a chain reads one, and lives for
 * milliseconds. `null` counts as absent, unknown members are kept beside the others, empty members are left out,
 * addresses become canonical. What is wrong is said with the member's path, `ips[0].address`.
 */
import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { CniError, ErrorCode } from './cni-error.ts';
import {
  type Dns,
  type FamilyConfig,
  type Interface,
  type IpConfig,
  type IpConfigWithVersion,
  type Others,
  others,
  type Result010,
  type Result030,
  type Result100,
  type Route,
} from './result.ts';

/** A JSON object, or an element of one, before its members are known. */
type Json = Readonly<Record<string, unknown>> & { readonly [others]?: Others };

/** While it is put together, member by member: a spread for each that may be absent takes ten times as long. */
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The members that some spec version has, by what they are members of. Those of another arrangement than the one that
 *  is read are dropped, as in the reference library. */
const known = {
  result: names('cniVersion interfaces ips routes dns ip4 ip6'),
  family: names('ip gateway routes'),
  interface: names('name mac sandbox mtu socketPath pciID'),
  ip: names('version address gateway interface'),
  route: names('dst gw mtu advmss priority table scope'),
  dns: names('nameservers domain search options'),
};

function names(text: string): Readonly<Record<string, true>> {
  const set: Record<string, true> = Object.create(null);
  for (const name of text.split(' ')) set[name] = true;
  return set;
}

/**
 * Hands members that we do not know on to `read`. `found`: how many known ones were read, -1 where
 * nobody counted. Nearly always these are all, and that is seen by their number.
 */
function keepOthers(
  json: Json,
  read: { [others]?: Others | undefined },
  of: keyof typeof known,
  found: number,
): void {
  // A result that a plugin of this program made may bring some along.
  const brought = json[others];
  if (brought !== undefined) read[others] = brought;
  const keys = Object.keys(json);
  if (keys.length === found) return;
  let more: Record<string, unknown> | undefined;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const value = json[key];
    if (known[of][key] || value === undefined) continue;
    // Without a prototype, so that a member of any name is just a member.
    more ??= Object.assign(Object.create(null), brought) as Record<string, unknown>; // reason: made here
    more[key] = value;
  }
  if (more) read[others] = more;
}

/** Every decoder takes the result's JSON object; its `cniVersion` is the caller's to judge. */
export function decode010(json: Json, cniVersion: string): Result010 {
  const ip4 = optional(json, 'ip4', '', familyConfig);
  const ip6 = optional(json, 'ip6', '', familyConfig);
  const read: Writable<Result010> = {
    shape: '0.1.0',
    cniVersion,
    ...(ip4 && { ip4 }),
    ...(ip6 && { ip6 }),
    dns: optional(json, 'dns', '', dns) ?? {},
  };
  keepOthers(json, read, 'result', -1);
  return read;
}

export function decode030(json: Json, cniVersion: string): Result030 {
  const read: Writable<Result030> = {
    shape: '0.3.0',
    cniVersion,
    interfaces: list(json, 'interfaces', '', interface030),
    ips: list(json, 'ips', '', ipConfigWithVersion),
    routes: list(json, 'routes', '', route),
    dns: optional(json, 'dns', '', dns) ?? {},
  };
  keepOthers(json, read, 'result', membersOf(json));
  return read;
}

export function decode100(json: Json, cniVersion: string): Result100 {
  const read: Writable<Result100> = {
    shape: '1.0.0',
    cniVersion,
    interfaces: list(json, 'interfaces', '', interface100),
    ips: list(json, 'ips', '', ipConfig),
    routes: list(json, 'routes', '', route),
    dns: optional(json, 'dns', '', dns) ?? {},
  };
  keepOthers(json, read, 'result', membersOf(json));
  return read;
}

/** How many known members a result of the newer arrangements has. */
function membersOf({ cniVersion, interfaces, ips, routes, dns }: Json): number {
  let found = 0;
  if (cniVersion !== undefined) found++;
  if (interfaces !== undefined) found++;
  if (ips !== undefined) found++;
  if (routes !== undefined) found++;
  if (dns !== undefined) found++;
  return found;
}

/** The result itself; `null` is an object with nothing in it. */
export function resultObject(value: unknown): Json {
  return value === null ? {} : object(value, 'result');
}

/** A text member; absent and null are ''. */
export function text(json: Json, key: string, at: string): string {
  const value = json[key];
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw wrongType(join(at, key), 'a string', value);
  return value;
}

function familyConfig(value: unknown, at: string): FamilyConfig {
  const json = object(value, at);
  const gateway = ip(json, 'gateway', at);
  const read: Writable<FamilyConfig> = {
    ip: cidr(json, 'ip', at),
    ...(gateway !== '' && { gateway }),
    routes: list(json, 'routes', at, route),
  };
  keepOthers(json, read, 'family', -1);
  return read;
}

/** Since 1.1.0 an interface has three members more; a result of an older arrangement loses them. */
function interface030(value: unknown, at: string): Interface {
  const json = object(value, at);
  const read: Writable<Interface> = { name: text(json, 'name', at) };
  keepOthers(json, read, 'interface', nameAndPlace(json, read, at));
  return read;
}

/** Reads the members that all arrangements have; returns how many of them there are. */
function nameAndPlace(json: Json, read: Writable<Interface>, at: string): number {
  const mac = text(json, 'mac', at);
  const sandbox = text(json, 'sandbox', at);
  let found = json.name === undefined ? 0 : 1;
  if (mac !== '') {
    read.mac = mac;
    found++;
  }
  if (sandbox !== '') {
    read.sandbox = sandbox;
    found++;
  }
  return found;
}

function interface100(value: unknown, at: string): Interface {
  const json = object(value, at);
  const mtu = integer(json, 'mtu', at);
  const socketPath = text(json, 'socketPath', at);
  const pciID = text(json, 'pciID', at);
  const read: Writable<Interface> = { name: text(json, 'name', at) };
  let found = nameAndPlace(json, read, at);
  if (mtu) {
    read.mtu = mtu;
    found++;
  }
  if (socketPath !== '') {
    read.socketPath = socketPath;
    found++;
  }
  if (pciID !== '') {
    read.pciID = pciID;
    found++;
  }
  keepOthers(json, read, 'interface', found);
  return read;
}

function ipConfig(value: unknown, at: string): IpConfig {
  const json = object(value, at);
  const index = integer(json, 'interface', at);
  const gateway = ip(json, 'gateway', at);
  const read: Writable<IpConfig> = { address: cidr(json, 'address', at) };
  let found = 1;
  if (gateway !== '') {
    read.gateway = gateway;
    found++;
  }
  if (index !== undefined) {
    read.interface = index;
    found++;
  }
  keepOthers(json, read, 'ip', found);
  return read;
}

function ipConfigWithVersion(value: unknown, at: string): IpConfigWithVersion {
  return { version: text(object(value, at), 'version', at), ...ipConfig(value, at) };
}

function route(value: unknown, at: string): Route {
  const json = object(value, at);
  const gw = ip(json, 'gw', at);
  const mtu = integer(json, 'mtu', at);
  const advmss = integer(json, 'advmss', at);
  const priority = integer(json, 'priority', at);
  const table = integer(json, 'table', at);
  const scope = integer(json, 'scope', at);
  const read: Writable<Route> = { dst: cidr(json, 'dst', at) };
  let found = 1;
  if (gw !== '') {
    read.gw = gw;
    found++;
  }
  if (mtu) {
    read.mtu = mtu;
    found++;
  }
  if (advmss) {
    read.advmss = advmss;
    found++;
  }
  if (priority) {
    read.priority = priority;
    found++;
  }
  if (table !== undefined) {
    read.table = table;
    found++;
  }
  if (scope !== undefined) {
    read.scope = scope;
    found++;
  }
  keepOthers(json, read, 'route', found);
  return read;
}

function dns(value: unknown, at: string): Dns {
  const json = object(value, at);
  const nameservers = list(json, 'nameservers', at, string);
  const search = list(json, 'search', at, string);
  const options = list(json, 'options', at, string);
  const domain = text(json, 'domain', at);
  const read: Writable<Dns> = {};
  if (nameservers.length > 0) read.nameservers = nameservers;
  if (domain !== '') read.domain = domain;
  if (search.length > 0) read.search = search;
  if (options.length > 0) read.options = options;
  keepOthers(json, read, 'dns', -1);
  return read;
}

function optional<T>(
  json: Json,
  key: string,
  at: string,
  read: (value: unknown, at: string) => T,
): T | undefined {
  const value = json[key];
  return value === undefined || value === null ? undefined : read(value, join(at, key));
}

/** A null element is refused, not skipped: indices such as ips[].interface count on every element. */
function list<T>(json: Json, key: string, at: string, read: (value: unknown, at: string) => T): T[] {
  const value = json[key];
  if (value === undefined || value === null) return [];
  const path = join(at, key);
  if (!Array.isArray(value)) throw wrongType(path, 'a list', value);
  const elements: T[] = [];
  for (let i = 0; i < value.length; i++) elements.push(read(value[i], `${path}[${i}]`));
  return elements;
}

function object(value: unknown, at: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(at, 'an object', value);
  }
  return value as Json; // what JSON.parse makes of an object has string keys only
}

function string(value: unknown, at: string): string {
  if (typeof value !== 'string') throw wrongType(at, 'a string', value);
  return value;
}

function integer(json: Json, key: string, at: string): number | undefined {
  const value = json[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw wrongType(join(at, key), 'an integer', value);
  }
  return value;
}

/** An address with prefix length, which must be there; the reference prints `<nil>` for one that is not. */
function cidr(json: Json, key: string, at: string): string {
  const value = json[key];
  if (value === undefined) {
    throw new CniError(
      ErrorCode.decodingFailure,
      `${join(at, key)} is missing: expected an address with a prefix length, such as 10.1.2.3/24`,
    );
  }
  const given = text(json, key, at);
  return canonical(knownCidrs, given, () => {
    const parsed = parseCidr(given);
    if (parsed) return formatCidr(parsed);
    throw new CniError(ErrorCode.decodingFailure, `invalid CIDR address: ${given}`, `at ${join(at, key)}`);
  });
}

function ip(json: Json, key: string, at: string): string {
  const given = text(json, key, at);
  if (given === '') return '';
  return canonical(knownIps, given, () => {
    const parsed = parseIp(given);
    if (parsed) return formatIp(parsed);
    throw new CniError(ErrorCode.decodingFailure, `invalid IP address: ${given}`, `at ${join(at, key)}`);
  });
}

/** What was read before and how it is written: in a chain each address is read a dozen times. */
const knownCidrs = new Map<string, string>();
const knownIps = new Map<string, string>();
const mostKnown = 100;

function canonical(known: Map<string, string>, given: string, read: () => string): string {
  const before = known.get(given);
  if (before !== undefined) return before;
  const text = read();
  if (known.size >= mostKnown) known.clear();
  known.set(given, text);
  return text;
}

function wrongType(at: string, expected: string, got: unknown): CniError {
  const shown = JSON.stringify(got) ?? String(got);
  const short = shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
  return new CniError(ErrorCode.decodingFailure, `${at}: expected ${expected}, got ${short}`);
}

function join(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`;
}
