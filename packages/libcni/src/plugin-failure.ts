/** How the failure of one plugin of a network is told. */
import type { RuntimeConf } from './attachment.ts';
import type { NetworkList } from './network-list.ts';
import type { PluginConfig } from './plugin-config.ts';
import { textOf, wrapped } from './wrapped-error.ts';

export async function naming<T>(
  plugin: PluginConfig,
  verb: 'add' | 'delete',
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failed(plugin, verb, error);
  }
}

/** `name` appears when the plugin object has one of its own, so that two of a type can be told apart. */
export function failed(plugin: PluginConfig, verb: 'add' | 'delete', error: unknown): Error {
  const own = plugin.name === '' ? '' : ` name=${JSON.stringify(plugin.name)}`;
  return wrapped(`plugin type=${JSON.stringify(plugin.type)}${own} failed (${verb})`, error);
}

export function together(errors: readonly Error[]): Error {
  return new AggregateError(errors, errors.map(textOf).join('\n'));
}

export function wasThereBefore(
  error: unknown,
  { name }: NetworkList,
  { containerId, ifname }: RuntimeConf,
): Error {
  const advice = `${containerId}, ${ifname} was attached to ${name} before, so nothing was taken back: DEL first`;
  return new Error(`${textOf(error)}; ${advice}`, { cause: error });
}
