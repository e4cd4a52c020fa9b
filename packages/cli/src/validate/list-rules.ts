/** What a runtime reads of a list or of a single configuration, before any plugin sees it. */
import { isOwnKey, memberOf, objectMember, textMember, unknownKey } from '@cni-ts/skeleton/config-findings';
import { checkNetworkName } from '@cni-ts/spec/names';
import { nearestWord } from '@cni-ts/spec/nearest-word';
import { newestVersion, specVersions } from '@cni-ts/spec/released-versions';
import { compareVersions } from '@cni-ts/spec/spec-version';
import type { ConfigDocument, Json } from './document.ts';
import { type Draft, error, note } from './finding.ts';
import { chainedPlugins } from './plugin-types.ts';

const listKeys = [
  'name',
  'cniVersion',
  'cniVersions',
  'disableCheck',
  'disableGC',
  'loadOnlyInlinedPlugins',
  'plugins',
];
const switches = ['disableCheck', 'disableGC', 'loadOnlyInlinedPlugins'];

/** `isFolder`: the file stands in a folder that runtimes read. */
export function listFindings(
  document: ConfigDocument,
  { isFolder, hasPluginsBeside }: { readonly isFolder: boolean; readonly hasPluginsBeside: boolean },
): Draft[] {
  const { json, kind } = document;
  if (kind === 'single') return [...singleShape(document), ...names(document, !isFolder), ...versions(json)];
  return [
    ...extension(document, isFolder),
    ...unknownListKeys(json),
    ...names(document, false),
    ...versions(json),
    ...onOff(json),
    ...plugins(json, hasPluginsBeside),
  ];
}

/** Runtimes read a list of a `.conflist` alone. A file that is only looked at may well be called `.json`. */
function extension({ source, resource }: ConfigDocument, isFolder: boolean): Draft[] {
  if (resource !== undefined || !/\.(conf|json)$/.test(source.file)) return [];
  const level = isFolder || source.file.endsWith('.conf') ? error : note;
  return [level('CNI1002', ['plugins'], 'this is a list: name the file ….conflist', { ofKey: true })];
}

function singleShape({ json }: ConfigDocument): Draft[] {
  if ('type' in json) return typeFindings(json, []);
  const [nearest] = Object.keys(json).flatMap((key) => unknownKey(key, ['type', 'plugins'], [key]));
  if (nearest?.nearest !== undefined) return [nearest];
  const message = 'expected "plugins", or "type" with the name of a plugin';
  return [(isOfIpam(json) ? note : error)('CNI1004', ['type'], message)];
}

/** What an IPAM plugin alone is called with, by hand and in documentation: nothing in it is an interface's. */
export function isOfIpam(json: Json): boolean {
  const keys = ['cniVersion', 'name', 'ipam', 'args', 'runtimeConfig', 'capabilities', 'dns', 'prevResult'];
  return (
    textMember(objectMember(json, 'ipam'), 'type') !== '' &&
    Object.keys(json).every((key) => keys.includes(key) || isOwnKey(key))
  );
}

function unknownListKeys(json: Json): Draft[] {
  return Object.keys(json).flatMap((key) => {
    // A single configuration in the place of a list is told by itself.
    const isSingle = key === 'type' && json.plugins === undefined;
    if (listKeys.includes(key) || isOwnKey(key) || isSingle) return [];
    const spelled = listKeys.find((one) => one.toLowerCase() === key.toLowerCase());
    if (spelled !== undefined) {
      const message = `unknown key; did you mean ${spelled}? In a list letter case counts`;
      return [error('CNI1012', [key], message, { nearest: spelled, ofKey: true })];
    }
    return unknownKey(key, listKeys, [key]).map((one) =>
      one.level === 'note' ? { ...one, message: 'unknown key, which runtimes pass over' } : one,
    );
  });
}

/** `mayBePart`: of a list that somebody puts together. */
function names({ json, kind, resource }: ConfigDocument, mayBePart: boolean): Draft[] {
  const name = kind === 'list' ? json.name : memberOf(json, 'name');
  if (name === undefined || name === null) {
    if (resource !== undefined) return [];
    const message = 'expected "name", the name of the network';
    // Runtimes make the loopback interface by a configuration of their own, and this one has no effect; a chained plugin has
    // the name of the list that it is put into.
    const isNamedElsewhere =
      ['loopback', ...chainedPlugins].includes(textMember(json, 'type')) || isOfIpam(json);
    const isPart = mayBePart || (kind === 'single' && isNamedElsewhere);
    return [(isPart ? note : error)('CNI1004', ['name'], message)];
  }
  if (typeof name !== 'string')
    return [error('CNI1010', ['name'], `expected a string, got ${JSON.stringify(name)}`)];
  try {
    checkNetworkName(name);
    return [];
  } catch {
    const what = name === '' ? 'is empty' : `is ${JSON.stringify(name)}`;
    const message = `the name of the network ${what}; it has letters, digits, "_", "." and "-", and begins with a letter or digit`;
    return [error('CNI1005', ['name'], message)];
  }
}

function versions(json: Json): Draft[] {
  const { cniVersion, cniVersions } = json;
  const found: Draft[] = [];
  if (cniVersions !== undefined) {
    if (!Array.isArray(cniVersions))
      found.push(error('CNI1010', ['cniVersions'], `expected a list, got ${kindOf(cniVersions)}`));
    else
      cniVersions.forEach(
        (one: unknown, i) => void found.push(...versionFindings(one, ['cniVersions', i], true)),
      );
  }
  if (cniVersion === undefined && cniVersions === undefined) {
    found.push(
      note(
        'CNI1008',
        [],
        'no cniVersion is given, so 0.1.0 counts; write the highest that all plugins speak',
      ),
    );
  } else if (cniVersion !== undefined) found.push(...versionFindings(cniVersion, ['cniVersion'], false));
  return found;
}

/** Among several there may be one that is newer than we are. */
function versionFindings(version: unknown, path: Draft['path'], mayBeNewer: boolean): Draft[] {
  if (typeof version !== 'string')
    return [error('CNI1010', path, `expected a string, got ${kindOf(version)}`)];
  if (specVersions.includes(version)) return [];
  if (version === '') return [note('CNI1008', path, 'no cniVersion is given, so 0.1.0 counts')];
  const isVersion = /^\d+\.\d+\.\d+$/.test(version);
  if (mayBeNewer && isVersion && compareVersions(version, newestVersion) > 0) return [];
  const nearest = nearestWord(version, specVersions);
  const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  const message = `${JSON.stringify(version)} is no version of the specification, which are ${specVersions.join(', ')}${meant}`;
  return [error('CNI1006', path, message, nearest === undefined ? {} : { nearest })];
}

function onOff(json: Json): Draft[] {
  return switches.flatMap((key) => {
    const value = json[key];
    if (value === undefined || typeof value === 'boolean') return [];
    if (typeof value === 'string' && /^(true|false)$/i.test(value)) return [];
    return [error('CNI1010', [key], `expected true or false, got ${kindOf(value)}`)];
  });
}

function plugins(json: Json, hasPluginsBeside: boolean): Draft[] {
  const list = json.plugins;
  if (list === undefined) {
    if ('type' in json) {
      const message = 'this is a single configuration: name the file ….conf, or write it into "plugins"';
      return [error('CNI1002', ['type'], message, { ofKey: true })];
    }
    return hasPluginsBeside ? [] : [error('CNI1007', ['plugins'], 'expected "plugins", a list of plugins')];
  }
  if (!Array.isArray(list)) return [error('CNI1010', ['plugins'], `expected a list, got ${kindOf(list)}`)];
  if (list.length === 0) return [error('CNI1007', ['plugins'], 'the list has no plugins')];
  return list.flatMap((one: unknown, i): Draft[] => {
    const plugin = objectMember({ one }, 'one');
    if (!plugin) return [error('CNI1010', ['plugins', i], `expected an object, got ${kindOf(one)}`)];
    return [...typeFindings(plugin, ['plugins', i]), ...ownNames(plugin, ['plugins', i])];
  });
}

/** The list's take their place, but libcni reads them. */
function ownNames(plugin: Json, path: Draft['path']): Draft[] {
  return ['name', 'cniVersion'].flatMap((key) => {
    const value = memberOf(plugin, key);
    if (value === undefined || typeof value === 'string') return [];
    return [error('CNI1010', [...path, key], `expected a string, got ${kindOf(value)}`)];
  });
}

function typeFindings(plugin: Json, path: Draft['path']): Draft[] {
  const type = memberOf(plugin, 'type');
  if (type === undefined) {
    const [misspelt] = Object.keys(plugin).flatMap((key) => unknownKey(key, ['type'], [...path, key]));
    if (misspelt?.nearest !== undefined) return [misspelt];
    return [error('CNI1004', [...path, 'type'], 'expected "type", the name of a plugin')];
  }
  if (typeof type !== 'string')
    return [error('CNI1010', [...path, 'type'], `expected a string, got ${kindOf(type)}`)];
  if (type === '' || type.includes('/')) {
    const message = `${JSON.stringify(type)} is no name of a plugin, which is the name of a file without its folder`;
    return [error('CNI1011', [...path, 'type'], message)];
  }
  return [];
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object'
    ? 'an object'
    : typeof value === 'string'
      ? `the string ${JSON.stringify(value)}`
      : String(value);
}

/** The plugin objects of a configuration with their paths. */
export function pluginsOf({
  json,
  kind,
}: ConfigDocument): { json: Json; type: string; path: Draft['path'] }[] {
  if (kind === 'single') return [{ json, type: textMember(json, 'type'), path: [] }];
  const list = Array.isArray(json.plugins) ? json.plugins : [];
  return list.flatMap((one: unknown, i) => {
    const plugin = objectMember({ one }, 'one');
    return plugin ? [{ json: plugin, type: textMember(plugin, 'type'), path: ['plugins', i] }] : [];
  });
}
