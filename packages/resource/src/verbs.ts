/** What the verbs of main and of chained plugins have in common. */
import type { Attachment, Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { failOn } from './drift.ts';
import { differencesOf } from './engine.ts';
import type { Lasting, Resource } from './resource.ts';
import type { Site } from './site.ts';

/** CHECK: the first difference is the answer, the others follow it, or are its details where they have such. */
export function checkAll(site: Site, resources: readonly Resource[]): void {
  const drift = differencesOf(site, resources);
  const details = drift.flatMap(({ detail }) => detail ?? []);
  if (details.length === 0) failOn(drift.map(({ text }) => text));
  else throw new CniError(ErrorCode.internal, drift[0]!.text, details.join('; '));
}

/** DEL, as steps in their order. */
export function removalOf(site: Site, lasting: readonly Lasting[]): (() => void | Promise<void>)[] {
  return lasting.map((one) => logged(site, 'remove', one, () => one.remove(site)));
}

/** GC, as steps. Links first: rules may be known to be stale by the links they name. */
export function collectionOf(
  site: Site,
  lasting: readonly Lasting[],
  valid: readonly Attachment[],
): (() => void | Promise<void>)[] {
  return lasting.toReversed().map((one) => logged(site, 'collect', one, () => one.collect?.(site, valid)));
}

/** As a step of the log, where there is one. */
function logged(
  site: Site,
  verb: string,
  { name }: Lasting,
  work: () => void | Promise<void>,
): () => void | Promise<void> {
  const { log } = site.request.undo;
  if (!log) return work;
  return async () => {
    log.step(`${verb} ${name}`);
    try {
      await work();
    } catch (error) {
      log.failed(error);
      throw error;
    }
    log.step('other work');
  };
}

/** For DEL and GC: undefined where it is not valid (any more), which is logged. */
export function validConfig<C>(request: Request<C>): C | undefined {
  try {
    return request.config;
  } catch (error) {
    request.log(
      `the configuration is not valid, what carries this attachment's name is removed: ${errorText(error)}`,
    );
    return undefined;
  }
}
