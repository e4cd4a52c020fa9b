/** Removing what containers that are gone left behind (spec section 2, GC). */
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { CachedAttachment, RuntimeConf } from './attachment.ts';
import { textOf, wrapped } from './wrapped-error.ts';

export interface GcArgs {
  /** The attachments that must stay. Absent: plugins are told `null`, and every cached attachment is stale. */
  readonly valid?: readonly Attachment[];
  /** Attachments to remove that the cache does not list, such as one whose entry is damaged. */
  readonly also?: readonly RuntimeConf[];
  /** Told of each attachment whose DEL has succeeded. */
  onRemoved?(attachment: RuntimeConf): void;
}

/** The cached attachments of this network that are not among the valid ones. */
export function staleAttachments(
  cached: readonly CachedAttachment[],
  network: string,
  args: GcArgs | undefined,
): CachedAttachment[] {
  const valid = args?.valid ?? [];
  return cached.filter(
    (found) =>
      found.network === network &&
      !valid.some(({ containerId, ifname }) => containerId === found.containerId && ifname === found.ifname),
  );
}

/** Does all of the work whatever fails, then throws one error that holds every failure, a line each. */
export class Failures {
  readonly #errors: Error[] = [];

  async attempt(doing: string, work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#errors.push(wrapped(doing, error));
    }
  }

  throwAny(): void {
    if (this.#errors.length > 0) throw new AggregateError(this.#errors, this.#errors.map(textOf).join('\n'));
  }
}
