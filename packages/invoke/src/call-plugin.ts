/**
 * A plugin as another plugin or a runtime calls it: one that is part of the running program by itself, any other as a
 * process. A program start is most of what a short plugin costs, and a value needs no text on its way. What the caller sees
 * is the same, but for one thing: a plugin that is running here cannot be killed.
 */
import { isThisProgram } from '@cni-ts/libc/program-file';
import { toCniError } from '@cni-ts/spec/cni-error';
import { printResult, type VersionedResult } from '@cni-ts/spec/result-version';
import { errorObject, readErrorObject } from './error-object.ts';
import { printedResult } from './run-plugin.ts';

/** What a plugin answered: as it printed it, or the result itself, which is the caller's from then on. '' for a command
 *  that has no answer. */
export type Reply = string | VersionedResult;

/** The plugins that are part of the running program. */
export interface OwnPlugins<P> {
  readonly lookup: (type: string) => P | undefined;
  /** The program's own file, where the program itself cannot tell: then only links to it are the program. */
  readonly self?: string | undefined;
  /** Whether another file is a plugin of ours in another build, that is to be called here all the same. */
  readonly kin?: ((program: string) => boolean) | undefined;
  /** Calls one by the protocol, which stands above this package. */
  readonly call: (plugin: P) => Promise<Reply>;
}

/** Calls the plugin that the file `program` is, or has it run. Throws its CniError, as it would have printed it. */
export async function callPlugin<P>(
  program: string,
  own: OwnPlugins<P> | undefined,
  run: () => Promise<Reply>,
): Promise<Reply> {
  const plugin = own && ownPlugin(program, own);
  if (own === undefined || plugin === undefined) return run();
  try {
    return await own.call(plugin);
  } catch (thrown) {
    throw readErrorObject(errorObject(toCniError(thrown)));
  }
}

/** The plugin that the file is; undefined for another program, or one that has no plugin of that name. */
export function ownPlugin<P>(
  program: string,
  { lookup, self, kin }: Pick<OwnPlugins<P>, 'lookup' | 'self' | 'kin'>,
): P | undefined {
  if (!isThisProgram(program, self) && !kin?.(program)) return undefined;
  return lookup(program.slice(program.lastIndexOf('/') + 1));
}

/** The answer to ADD. A text that names no version is in that of the configuration the plugin was sent. */
export function replyResult(reply: Reply, configVersion: string): VersionedResult {
  return typeof reply === 'string' ? printedResult(reply, configVersion) : reply;
}

/** The answer as a process prints it. */
export function replyText(reply: Reply): string {
  return typeof reply === 'string' ? reply : printResult(reply);
}
