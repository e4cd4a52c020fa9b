/**
 * All that is wrong with a plugin's configuration, for VALIDATE: what does not fit its schema, keys that nobody knows,
 * capabilities that nobody uses, and what the plugin itself refuses. ADD tells the first of it only, and of keys nothing.
 */
import { CniError, errorText } from '@cni-ts/spec/cni-error';
import type { FindingCode, FindingLevel } from '@cni-ts/spec/finding-codes';
import { misspeltWord } from '@cni-ts/spec/nearest-word';
import * as z from 'zod/mini';
import { networkConfig } from './config.ts';
import { explained } from './config-error.ts';
import { fold } from './config-spelling.ts';
import type { Plugin, RawRequest } from './plugin.ts';
import { placeOfRefusal } from './refusal-place.ts';
import { unwrapped } from './schema-parts.ts';

type Schema = z.core.$ZodType;
type Json = Readonly<Record<string, unknown>>;
/** Keys and indexes from the configuration's own object to a place in it. */
export type Path = readonly (string | number)[];

export interface ConfigFinding {
  readonly code: FindingCode;
  readonly level: FindingLevel;
  readonly path: Path;
  readonly message: string;
  /** The word that was most probably meant. */
  readonly nearest?: string;
  /** It is about the key at the path's end, not its value. */
  readonly ofKey?: true;
  /** In the plugin's own words, which may be about what another finding tells better. */
  readonly ofPlugin?: true;
}

/** `find` tells plugins of the same program, of which the IPAM plugin may be one: what is in `ipam` is judged by it. */
export function configFindings(
  plugin: Plugin,
  request: RawRequest,
  find?: (type: string) => Plugin | undefined,
): ConfigFinding[] {
  const ipamType = textMember(objectMember(request.json, 'ipam'), 'type');
  const ipam = ipamType === '' ? undefined : find?.(ipamType);
  const asked = [plugin, ...(ipam && ipam.type !== plugin.type ? [ipam] : [])];
  const found: ConfigFinding[] = [];
  for (const one of asked) {
    found.push(...versionFindings(one, one === plugin ? ['type'] : ['ipam', 'type'], request));
    const shape = shapeFindings(one, request);
    found.push(...shape, ...(shape.length === 0 ? refusal(one, request) : []));
  }
  const schemas = asked.flatMap(({ schema }) => (schema ? [schema()] : []));
  if (schemas.length === asked.length) {
    const openIpam = ipamType !== '' && ipam === undefined;
    const known = [z.object({ ...networkConfig, ...listKeys() }), ...schemas];
    found.push(...unknownKeys(known, request.json, [], openIpam));
    if (!openIpam) found.push(...unusedCapabilities(schemas, request.json));
  }
  return withoutRepetition(found);
}

/** A single configuration has these of a list. */
function listKeys() {
  return { disableCheck: z.unknown(), disableGC: z.unknown(), cniVersions: z.unknown() };
}

/** Main and IPAM plugin look at some places both. */
function withoutRepetition(found: readonly ConfigFinding[]): ConfigFinding[] {
  const seen = new Set<string>();
  return found.filter((one) => {
    const key = `${one.code} ${JSON.stringify(one.path)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** A part of a list has its version from there, and may be looked at without. */
function versionFindings(
  { type, versions }: Plugin,
  path: Path,
  { json, cniVersion }: RawRequest,
): ConfigFinding[] {
  if (memberOf(json, 'cniVersion') === undefined || versions.includes(cniVersion)) return [];
  const message = `plugin ${type} speaks ${versions.join(', ')}, not ${cniVersion}`;
  return [{ code: 'CNI4002', level: 'error', path, message }];
}

/** Every value that does not fit. */
function shapeFindings({ schema, readJson }: Plugin, { json, stdin }: RawRequest): ConfigFinding[] {
  if (!schema) return [];
  z.config({ jitless: true });
  const made = schema();
  const folded = fold(made, readJson?.(stdin) ?? json);
  const read = z.safeParse(made, folded);
  if (read.success) return [];
  return read.error.issues.map((issue) => {
    const { path, text } = explained(issue, folded);
    const isMissing = issue.code === 'invalid_type' && text.endsWith('got nothing');
    const code = isMissing ? 'CNI1004' : issue.code === 'invalid_type' ? 'CNI1010' : 'CNI1011';
    return { code, level: 'error', path: pathOf(path), message: text };
  });
}

function pathOf(path: readonly PropertyKey[]): Path {
  return path.map((key) => (typeof key === 'number' ? key : String(key)));
}

/** What the plugin itself would answer. */
function refusal(plugin: Plugin, request: RawRequest): ConfigFinding[] {
  try {
    plugin.readConfig?.(request);
    return [];
  } catch (error) {
    const message = error instanceof CniError ? error.message : errorText(error);
    const details = error instanceof CniError ? error.details : '';
    const place = placeOfRefusal(message, details, request.json);
    const more = place.isDetails || details === '' ? '' : ` (${details})`;
    return [
      { code: place.code, level: 'error', path: place.path, message: `${message}${more}`, ofPlugin: true },
    ];
  }
}

/** Keys that none of the schemas has, at any depth that one of them describes. */
function unknownKeys(
  schemas: readonly Schema[],
  value: unknown,
  path: Path,
  openIpam: boolean,
): ConfigFinding[] {
  if (typeof value !== 'object' || value === null) return [];
  if (openIpam && path.length === 1 && isSame(path[0], 'ipam')) return [];
  const parts = schemas.flatMap(unwrapped);
  if (Array.isArray(value)) {
    const elements = parts.flatMap(({ element }) => (element ? [element] : []));
    return value.flatMap((item, i) => unknownKeys(elements, item, [...path, i], openIpam));
  }
  const json = value as Json; // reason: an object that is no list
  const values = parts.flatMap(({ valueType }) => (valueType ? [valueType] : []));
  const shapes = parts.flatMap(({ shape }) => (shape ? [shape] : []));
  if (values.length > 0) {
    return Object.keys(json).flatMap((key) => unknownKeys(values, json[key], [...path, key], openIpam));
  }
  if (shapes.length === 0) return [];
  const known = [...new Set(shapes.flatMap((shape) => Object.keys(shape)))];
  return Object.keys(json).flatMap((key) => {
    const name = known.find((one) => isSame(one, key));
    if (name !== undefined) {
      const inner = shapes.flatMap((shape) => (Object.hasOwn(shape, name) ? [shape[name]!] : []));
      return unknownKeys(inner, json[key], [...path, key], openIpam);
    }
    return unknownKey(key, known, [...path, key]);
  });
}

/** Keys of whoever wrote the file: comments, labels, what other programs keep there. */
export function isOwnKey(key: string): boolean {
  return /^(_|\$|#|\/\/|x-)|[./:@ ]/i.test(key);
}

/** The finding for a key that is none of `known`. */
export function unknownKey(key: string, known: readonly string[], path: Path): ConfigFinding[] {
  if (isOwnKey(key)) return [];
  const nearest = misspeltWord(key, known);
  if (nearest !== undefined) {
    const message = `unknown key; did you mean ${nearest}?`;
    return [{ code: 'CNI1012', level: 'error', path, message, nearest, ofKey: true }];
  }
  // What containers' labels are for.
  if (isSame(path[0], 'args')) return [];
  return [
    {
      code: 'CNI1013',
      level: 'note',
      path,
      message: 'unknown key, which the plugin passes over',
      ofKey: true,
    },
  ];
}

function unusedCapabilities(schemas: readonly Schema[], json: Json): ConfigFinding[] {
  const marked = objectMember(json, 'capabilities');
  const used = new Set<string>();
  for (const { shape } of schemas.flatMap(unwrapped)) {
    const inner = shape?.runtimeConfig;
    for (const part of inner ? unwrapped(inner) : [])
      for (const name of Object.keys(part.shape ?? {})) used.add(name);
  }
  return Object.keys(marked ?? {}).flatMap((name): ConfigFinding[] => {
    if (used.has(name) || marked?.[name] !== true) return [];
    const nearest = misspeltWord(name, [...used]);
    const path = ['capabilities', name];
    if (nearest !== undefined) {
      const message = `unknown capability; did you mean ${nearest}?`;
      return [{ code: 'CNI1012', level: 'error', path, message, nearest, ofKey: true }];
    }
    const uses = used.size === 0 ? 'it uses none' : `it uses ${[...used].join(', ')}`;
    const message = `the plugin does not use the capability ${name}; ${uses}`;
    return [{ code: 'CNI1030', level: 'warning', path, message, ofKey: true }];
  });
}

function isSame(one: string | number | undefined, other: string): boolean {
  return typeof one === 'string' && one.toLowerCase() === other.toLowerCase();
}

/** A member that is an object, by any spelling. */
export function objectMember(json: unknown, name: string): Json | undefined {
  const value = memberOf(json, name);
  // reason: an object that is no list
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** A member that is a text, by any spelling; '' for none. */
export function textMember(json: unknown, name: string): string {
  const value = memberOf(json, name);
  return typeof value === 'string' ? value : '';
}

/** A member by any spelling of its key, as Go's decoder finds it: the last that is not null. */
export function memberOf(json: unknown, name: string): unknown {
  if (typeof json !== 'object' || json === null) return undefined;
  let found: unknown;
  for (const [key, value] of Object.entries(json)) if (isSame(key, name)) found = value ?? found;
  return found;
}
