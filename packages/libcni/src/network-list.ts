/** A network configuration list: one network, the plugins that make it, in order (spec section 1). */
import { dirname } from 'node:path';
import { newestVersion } from '@cni-ts/spec/released-versions';
import { compareVersions, parseVersion } from '@cni-ts/spec/spec-version';
import { configFiles } from './config-files.ts';
import { encodeSorted, isJsonObject, type JsonObject, jsonTypeName, parseJsonBytes } from './json.ts';
import {
  type PluginConfig,
  pluginConfigFrom,
  pluginConfigFromFile,
  readConfigFile,
} from './plugin-config.ts';
import { textOf, wrapped } from './wrapped-error.ts';

export interface NetworkList {
  readonly name: string;
  /** Chosen from `cniVersion` and `cniVersions`; '' when neither says anything. */
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly loadOnlyInlinedPlugins: boolean;
  readonly plugins: readonly PluginConfig[];
  /** The list as loaded. Plugins from the sibling folder are not in it. */
  readonly bytes: Uint8Array;
}

/** Every error starts `error parsing configuration list: ` or names the plugin element that is wrong. */
export function parseNetworkList(bytes: Uint8Array): NetworkList {
  const json = parseObject(bytes);
  if (!('name' in json)) throw bad('no name');
  const { name } = json;
  if (typeof name !== 'string') throw bad(`invalid name type ${jsonTypeName(name)}`);
  const cniVersion = chooseVersion(json);
  const disableCheck = readSwitch(json, 'disableCheck');
  const disableGC = readSwitch(json, 'disableGC');
  const loadOnlyInlinedPlugins = readSwitch(json, 'loadOnlyInlinedPlugins');
  const plugins = inlinedPlugins(json, loadOnlyInlinedPlugins);
  return { name, cniVersion, disableCheck, disableGC, loadOnlyInlinedPlugins, plugins, bytes };
}

/**
 * Reads a list and, unless it says `loadOnlyInlinedPlugins`, appends the plugins found as `*.conf` in the folder
 * that bears the network's name next to the file.
 */
export function networkListFromFile(path: string): NetworkList {
  const list = parseNetworkList(readConfigFile(path));
  const beside = list.loadOnlyInlinedPlugins ? [] : pluginsInFolder(`${dirname(path)}/${list.name}`);
  const plugins = [...list.plugins, ...beside];
  if (plugins.length === 0) throw new Error('no plugin configs found');
  return { ...list, plugins };
}

/** A list of this one plugin; the plugin object's other keys, `disableCheck` too, mean nothing to the list. */
export function networkListOf(plugin: PluginConfig): NetworkList {
  const { cniVersion, name, json } = plugin;
  return parseNetworkList(bytesOf({ cniVersion, name, plugins: [json] }));
}

function bytesOf(json: unknown): Uint8Array {
  return new TextEncoder().encode(encodeSorted(json));
}

function bad(what: string, cause?: unknown): Error {
  const told = cause === undefined ? what : `${what}: ${textOf(cause)}`;
  return new Error(`error parsing configuration list: ${told}`, { cause });
}

function parseObject(bytes: Uint8Array): JsonObject {
  let json: unknown;
  try {
    json = parseJsonBytes(bytes);
  } catch (error) {
    throw wrapped('error parsing configuration list', error);
  }
  if (json === null) return {};
  if (!isJsonObject(json)) throw bad(`expected a JSON object, got ${jsonTypeName(json)}`);
  return json;
}

/** Without `cniVersions`, `cniVersion` as it stands; with it, the highest of all that we speak. */
function chooseVersion(json: JsonObject): string {
  const single = json.cniVersion;
  if (single !== undefined && typeof single !== 'string') {
    throw bad(`invalid cniVersion type ${jsonTypeName(single)}`);
  }
  const several = json.cniVersions;
  if (several === undefined) return single ?? '';
  if (!Array.isArray(several)) throw bad('invalid type for cniVersions: []interface {}');
  const candidates = several.map(readCandidate);
  if (single) {
    checkVersion(single, `invalid cniVersion ${single}`);
    candidates.push(single);
  }
  let chosen = '';
  for (const version of candidates) {
    if (compareVersions(version, newestVersion) > 0) continue; // not for us
    if (chosen === '' || compareVersions(version, chosen) > 0) chosen = version;
  }
  return chosen || (single ?? '');
}

function readCandidate(version: unknown, index: number): string {
  if (typeof version !== 'string') {
    throw bad(`invalid type for cniVersions index ${index}: ${jsonTypeName(version)}`);
  }
  checkVersion(version, `invalid cniVersions entry ${version} at index ${index}`);
  return version;
}

function checkVersion(version: string, complaint: string): void {
  try {
    parseVersion(version);
  } catch (error) {
    throw bad(complaint, error);
  }
}

/** A boolean, or its name in any letter case: kubelet users write both. */
function readSwitch(json: JsonObject, key: string): boolean {
  const value = json[key];
  if (value === undefined) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') throw bad(`invalid type ${jsonTypeName(value)} for ${key}`);
  const word = value.toLowerCase();
  if (word !== 'true' && word !== 'false') throw bad(`invalid value "${word}" for ${key}`);
  return word === 'true';
}

function inlinedPlugins(json: JsonObject, onlyInlined: boolean): PluginConfig[] {
  if (!('plugins' in json)) {
    if (onlyInlined) throw bad("`loadOnlyInlinedPlugins` is true, and no 'plugins' key");
    return [];
  }
  const { plugins } = json;
  if (!Array.isArray(plugins)) throw bad(`invalid 'plugins' type ${jsonTypeName(plugins)}`);
  if (plugins.length === 0) throw bad('no plugins in list');
  return plugins.map((element: unknown, index) => {
    try {
      return pluginConfigFrom(element, bytesOf(element));
    } catch (error) {
      throw wrapped(`failed to parse plugin config ${index}`, error);
    }
  });
}

function pluginsInFolder(folder: string): PluginConfig[] {
  return configFiles(folder, ['.conf'], `failed to read plugin config files in ${folder}`).map(
    pluginConfigFromFile,
  );
}
