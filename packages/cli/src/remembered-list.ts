/** The configuration that an attachment was made with, as the cache remembers it. */
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { isJsonObject, parseJsonBytes } from '@cni-ts/libcni/json';
import { type NetworkList, networkListOf, parseNetworkList } from '@cni-ts/libcni/network-list';
import { parsePluginConfig } from '@cni-ts/libcni/plugin-config';

/** A list, or a single configuration as a list of one. Throws for what is neither. */
export function rememberedList({ config, network }: CachedAttachment): NetworkList {
  const json = parseJsonBytes(config);
  const isList = isJsonObject(json) && !('type' in json);
  const list = isList ? parseNetworkList(config) : networkListOf(parsePluginConfig(config));
  if (list.name !== network) throw new Error(`the configuration is that of network ${list.name}`);
  return list;
}
