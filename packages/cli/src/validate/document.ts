/** A configuration in a file: its value, and where each part of it stands. */
import { parseJson } from '@cni-ts/libcni/json';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { errorText } from '@cni-ts/spec/cni-error';
import { JsonError } from '@cni-ts/spec/json';
import { type Node, parseTree } from 'jsonc-parser';
import type { Draft, Finding, Path } from './finding.ts';
import { error, pointerOf } from './finding.ts';
import { resourcesIn } from './kubernetes.ts';
import { Source } from './source.ts';

export type Json = Readonly<Record<string, unknown>>;

/** A list has `plugins`, a single configuration is one plugin. */
export type Kind = 'list' | 'single';

export interface ConfigDocument {
  readonly source: Source;
  readonly kind: Kind;
  readonly json: Json;
  /** Name of the NetworkAttachmentDefinition, whose configuration needs none. */
  readonly resource: string | undefined;
  /** Where a draft stands. */
  place(draft: Draft): Finding;
}

export interface Reading {
  readonly documents: readonly ConfigDocument[];
  readonly findings: readonly Finding[];
}

/** The configurations of a file: one, or as many as it has NetworkAttachmentDefinitions. */
export function readDocuments(source: Source): Reading {
  const isYaml =
    /\.ya?ml$/i.test(source.file) ||
    (!/^\s*[{[]/.test(source.text) && /^\s*(kind|apiVersion)\s*:/m.test(source.text));
  if (isYaml) return resources(source);
  const read = readJson(source, source.text, (offset) => offset);
  if (!('value' in read)) return { documents: [], findings: [read.finding] };
  const kind = textMember(read.value, 'kind');
  if (kind === 'NetworkAttachmentDefinition' || (kind === 'List' && memberOf(read.value, 'items')))
    return resources(source);
  return documentOf(source, read, undefined);
}

function resources(source: Source): Reading {
  const { resources: found, problem } = resourcesIn(source);
  const findings: Finding[] = problem
    ? [findingAt(source, problem.offset, 1, error('CNI1001', [], problem.message))]
    : [];
  if (!problem && found.length === 0) {
    const message = 'there is no NetworkAttachmentDefinition in it';
    findings.push(findingAt(source, 0, 1, { code: 'CNI1002', level: 'note', path: [], message }));
  }
  const documents: ConfigDocument[] = [];
  for (const one of found) {
    if (one.config === undefined) continue; // Multus then takes the file of that name in the node's folder
    const read = readJson(source, one.config.text, one.config.at);
    const reading =
      'value' in read ? documentOf(source, read, one.name) : { documents: [], findings: [read.finding] };
    documents.push(...reading.documents);
    findings.push(...reading.findings);
  }
  return { documents, findings };
}

interface Read {
  readonly value: unknown;
  readonly text: string;
  readonly at: (offset: number) => number;
}

/** `at` tells where in the file a place of the text is. */
function readJson(source: Source, text: string, at: (offset: number) => number): Read | { finding: Finding } {
  try {
    return { value: parseJson(text), text, at };
  } catch (thrown) {
    const isPlaced = thrown instanceof JsonError;
    const offset = isPlaced ? new Source('', text).offset(thrown) : 0;
    const message = isPlaced ? thrown.reason : errorText(thrown);
    return { finding: findingAt(source, at(offset), 1, error('CNI1001', [], message)) };
  }
}

function documentOf(source: Source, { value, text, at }: Read, resource: string | undefined): Reading {
  const tree = parseTree(text);
  const place = (draft: Draft) => {
    const { offset, length } = spot(tree, draft);
    return findingAt(source, at(offset), length, draft);
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const message = 'expected an object: a list with "plugins", or a plugin with "type"';
    return { documents: [], findings: [place(error('CNI1002', [], message))] };
  }
  const json = value as Json; // reason: an object that is no list
  const kind: Kind =
    /\.conflist$/.test(source.file) || (!('type' in json) && isListLike(json)) || 'plugins' in json
      ? 'list'
      : 'single';
  return {
    documents: [{ source, kind, json, resource, place }],
    findings: repeatedKeys(tree, []).map(place),
  };
}

function isListLike(json: Json): boolean {
  return Object.values(json).some(
    (one) => Array.isArray(one) && one.some((item) => objectMember({ item }, 'item')),
  );
}

function findingAt(
  source: Source,
  offset: number,
  length: number,
  { code, level, path, message, nearest }: Draft,
): Finding {
  const { line, column } = source.place(offset);
  const text = source.line(line);
  const rest = Math.max(1, Array.from(text).length - column + 1);
  const width = Math.max(1, Math.min(length, rest));
  const found = {
    file: source.file,
    line,
    column,
    width,
    pointer: pointerOf(path),
    code,
    level,
    message,
    text,
  };
  return nearest === undefined ? found : { ...found, nearest };
}

interface Spot {
  readonly offset: number;
  readonly length: number;
}

/** The key or value of a path; of one that is not there, what is nearest above it. */
function spot(tree: Node | undefined, { path, ofKey }: Draft): Spot {
  if (!tree) return { offset: 0, length: 1 };
  let value = tree;
  let key: Node | undefined;
  for (const [depth, step] of path.entries()) {
    const next = typeof step === 'number' ? elementAt(value, step) : propertyOf(value, step);
    if (!next)
      return depth === 0 ? { offset: tree.offset, length: 1 } : (key ?? { offset: value.offset, length: 1 });
    value = next.value;
    key = next.key;
  }
  if (ofKey && key) return key;
  return value.type === 'object' || value.type === 'array'
    ? (key ?? { offset: value.offset, length: 1 })
    : value;
}

function elementAt(list: Node, index: number): { value: Node; key?: Node } | undefined {
  const value = list.type === 'array' ? list.children?.[index] : undefined;
  return value && { value };
}

/** By the exact spelling, else by another; the last counts. */
function propertyOf(object: Node, name: string): { value: Node; key?: Node } | undefined {
  if (object.type !== 'object') return undefined;
  const named = (same: (key: string) => boolean) =>
    object.children?.findLast(
      (one) => typeof one.children?.[0]?.value === 'string' && same(one.children[0].value),
    );
  const found = named((key) => key === name) ?? named((key) => key.toLowerCase() === name.toLowerCase());
  const [key, value] = found?.children ?? [];
  return value && (key ? { value, key } : { value });
}

/** JSON lets the last of them count, and so do plugins. */
function repeatedKeys(node: Node | undefined, path: Path): Draft[] {
  const found: Draft[] = [];
  const seen = new Set<string>();
  for (const [index, child] of (node?.children ?? []).entries()) {
    if (node?.type === 'array') {
      found.push(...repeatedKeys(child, [...path, index]));
      continue;
    }
    const [key, value] = child.children ?? [];
    const name = String(key?.value);
    if (seen.has(name)) {
      const message = `the key ${JSON.stringify(name)} stands twice in this object; the last one counts`;
      found.push({ code: 'CNI1003', level: 'warning', path: [...path, name], message, ofKey: true });
    }
    seen.add(name);
    found.push(...repeatedKeys(value, [...path, name]));
  }
  return found;
}
