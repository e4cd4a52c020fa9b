/**
 * NetworkAttachmentDefinitions (k8s.cni.cncf.io/v1), whose `spec.config` is a configuration as a text, in YAML or JSON. What
 * is in that text stands somewhere in the file, which is what people look at.
 */

import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { FAILSAFE_SCHEMA, type LoadOptions, loadAll, YAMLException } from 'js-yaml';
import type { Source } from './source.ts';

export interface NetworkResource {
  readonly name: string;
  /** Undefined where Multus is to look for a file of that name. */
  readonly config: { readonly text: string; readonly at: (offset: number) => number } | undefined;
}

export interface ResourcesRead {
  readonly resources: readonly NetworkResource[];
  /** Why it is no YAML. */
  readonly problem?: { readonly offset: number; readonly message: string };
}

export function resourcesIn(source: Source): ResourcesRead {
  const scalars: Scalar[] = [];
  let documents: unknown[];
  try {
    documents = loadAll(source.text, null, { schema: FAILSAFE_SCHEMA, listener: listenerFor(scalars) });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const offset = Math.min(error.mark?.position ?? 0, source.text.length);
    return { resources: [], problem: { offset, message: error.reason } };
  }
  return { resources: documents.flatMap((one) => resourcesOf(one, source, scalars)) };
}

/** A text, and between which places of the file it stands. */
interface Scalar {
  readonly text: string;
  readonly begin: number;
  readonly end: number;
}

/** The library tells where it is when a node begins and when it has read it. */
function listenerFor(scalars: Scalar[]): NonNullable<LoadOptions['listener']> {
  const begun: number[] = [];
  return (event, state) => {
    if (event === 'open') {
      begun.push(state.position);
      return;
    }
    const begin = begun.pop() ?? 0;
    if (state.kind === 'scalar' && typeof state.result === 'string')
      scalars.push({ text: state.result, begin, end: state.position });
  };
}

function resourcesOf(json: unknown, source: Source, scalars: Scalar[]): NetworkResource[] {
  const kind = textMember(json, 'kind');
  const items = memberOf(json, 'items');
  if (kind === 'List' && Array.isArray(items))
    return items.flatMap((item) => resourcesOf(item, source, scalars));
  if (kind !== 'NetworkAttachmentDefinition') return [];
  const name = textMember(objectMember(json, 'metadata'), 'name');
  const text = textMember(objectMember(json, 'spec'), 'config');
  if (text.trim() === '') return [{ name, config: undefined }];
  // Of several that are alike the first that is not taken yet.
  const index = scalars.findIndex((one) => one.text === text);
  const [scalar] = index < 0 ? [] : scalars.splice(index, 1);
  return [{ name, config: { text, at: placesIn(source.text, text, scalar) } }];
}

/** Where each character of a scalar's value stands: they come in the same order, with indentation, escapes and the like
 *  between them. */
function placesIn(file: string, text: string, scalar: Scalar | undefined): (offset: number) => number {
  let at = scalar?.begin ?? 0;
  const end = scalar?.end ?? file.length;
  while (at < end && /\s/.test(file.charAt(at))) at++;
  // The header of a block scalar.
  if (/[|>]/.test(file.charAt(at))) at = file.indexOf('\n', at) + 1;
  else if (/['"]/.test(file.charAt(at))) at++;
  const places: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const isBlank = /\s/.test(text.charAt(i));
    let found = at;
    while (found < end && file[found] !== text[i] && (!isBlank || /[\s\\]/.test(file.charAt(found)))) found++;
    if (found >= end) found = at;
    else if (file[found] === text[i]) at = found + 1;
    places.push(found);
  }
  return (offset) => places[Math.min(offset, places.length - 1)] ?? at;
}
