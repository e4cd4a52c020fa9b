/** What is remembered of attachments, for commands that only look at it. */
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import type { Operations } from '@cni-ts/libcni/operations';
import { errorText } from '@cni-ts/spec/cni-error';
import { CannotLookError } from './verb.ts';

/** Of all networks. Throws CannotLookError where it may not be read. */
export function rememberedAttachments(
  runtime: Pick<Operations, 'getCachedAttachments'>,
): readonly CachedAttachment[] {
  try {
    return runtime.getCachedAttachments();
  } catch (error) {
    throw new CannotLookError(`what is remembered cannot be read, run it as root: ${errorText(error)}`);
  }
}
