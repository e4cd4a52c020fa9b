/** The configuration object of one plugin, as a runtime loads it (spec section 1, "Plugin configuration object"). */
import { readBytes } from '@cni-ts/libc/file';
import { networkConfig, readConfigOf } from '@cni-ts/skeleton/config';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import * as z from 'zod/mini';
import { type JsonObject, parseJsonBytes } from './json.ts';
import { wrapped } from './wrapped-error.ts';

export interface PluginConfig {
  readonly type: string;
  /** The object's own name and version; '' when absent. In a list the list's take their place. */
  readonly name: string;
  readonly cniVersion: string;
  readonly capabilities: Readonly<Record<string, boolean>>;
  /** Everything as loaded, unknown keys too: requests are derived from this. */
  readonly json: JsonObject;
  readonly bytes: Uint8Array;
}

/** What every plugin's configuration has; `name` is what the build compiles it under. */
export const anyPlugin = { name: 'any plugin', schema: () => z.object(networkConfig) };

/** Throws a CniError (code 7) whose text starts `error parsing configuration: `. */
export function parsePluginConfig(bytes: Uint8Array): PluginConfig {
  let json: unknown;
  try {
    json = parseJsonBytes(bytes);
  } catch (error) {
    throw new CniError(ErrorCode.invalidConfig, wrapped(whileParsing, error).message, '', { cause: error });
  }
  return pluginConfigFrom(json, bytes);
}

/** The same for JSON that is parsed already; `bytes` are what it was parsed from. */
export function pluginConfigFrom(json: unknown, bytes: Uint8Array): PluginConfig {
  // null decodes as an object without members, as in plugins (protocol of stdin).
  const conf = readConfigOf(anyPlugin.name, anyPlugin.schema, json ?? {}, whileParsing);
  if (!conf.type) throw new CniError(ErrorCode.invalidConfig, `${whileParsing}: missing 'type'`);
  return {
    type: conf.type,
    name: conf.name ?? '',
    cniVersion: conf.cniVersion ?? '',
    capabilities: conf.capabilities ?? {},
    // readConfig accepts nothing but objects.
    json: (json ?? {}) as JsonObject,
    bytes,
  };
}

/** Adds `error reading ‹path›: ‹why›` to what can go wrong. */
export function pluginConfigFromFile(path: string): PluginConfig {
  return parsePluginConfig(readConfigFile(path));
}

export function readConfigFile(path: string): Uint8Array {
  try {
    return readBytes(path);
  } catch (error) {
    throw wrapped(`error reading ${path}`, error);
  }
}

const whileParsing = 'error parsing configuration';

/** The capabilities that the plugin has, marked `true`. */
export function capabilitiesOf({ capabilities }: PluginConfig): string[] {
  return Object.keys(capabilities).filter((name) => capabilities[name]);
}
