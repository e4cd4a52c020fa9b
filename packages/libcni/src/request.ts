/** What a plugin gets on stdin: its configuration, with what the runtime injects (spec section 3). */
import { Input } from '@cni-ts/invoke/input';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { resultJson, type VersionedResult } from '@cni-ts/spec/result-version';
import type { RuntimeConf } from './attachment.ts';
import { encodeSorted, type JsonObject, readSorted } from './json.ts';
import { type PluginConfig, pluginConfigFrom } from './plugin-config.ts';

/** The network a plugin works for. Its name and version win over the plugin object's own. */
export interface Network {
  readonly name: string;
  readonly cniVersion: string;
}

/** For ADD, CHECK and DEL. A `prevResult` or `runtimeConfig` in the configuration stays unless one is given here. */
export function attachmentRequest(
  network: Network,
  plugin: PluginConfig,
  conf: RuntimeConf,
  prevResult: VersionedResult | undefined,
): Input {
  const runtimeConfig = matchingCapabilities(plugin, conf);
  return inject(plugin, {
    ...named(network),
    ...(prevResult && { prevResult: resultJson(prevResult) }),
    ...(runtimeConfig && { runtimeConfig }),
  });
}

/** `valid` absent: the caller said nothing about attachments, and neither do we. */
export function gcRequest(
  network: Network,
  plugin: PluginConfig,
  valid: readonly Attachment[] | null | undefined,
): Input {
  if (valid === undefined) return inject(plugin, named(network));
  const list = valid?.map(({ containerId, ifname }) => ({ containerID: containerId, ifname })) ?? null;
  // The second key is an early misspelling that plugins of that time still read.
  return inject(plugin, {
    ...named(network),
    'cni.dev/valid-attachments': list,
    'cni.dev/attachments': list,
  });
}

export function statusRequest(network: Network, plugin: PluginConfig): Input {
  return inject(plugin, named(network));
}

/** The version is written even when it is empty, so that a plugin object's own cannot slip through. */
function named({ name, cniVersion }: Network): JsonObject {
  return { name, cniVersion };
}

function inject(plugin: PluginConfig, values: JsonObject): Input {
  const json = { ...plugin.json, ...values };
  pluginConfigFrom(json, plugin.bytes); // the outcome must still be a plugin's configuration
  return new Input(
    () => encodeSorted(json),
    () => readSorted(json),
  );
}

function matchingCapabilities(plugin: PluginConfig, conf: RuntimeConf): JsonObject | undefined {
  const matching = Object.entries(conf.capabilityArgs ?? {}).filter(
    ([name]) => Object.hasOwn(plugin.capabilities, name) && plugin.capabilities[name],
  );
  return matching.length === 0 ? undefined : Object.fromEntries(matching);
}
