import { errorText } from '@cni-ts/spec/cni-error';

/**
 * REPAIR of a plugin that says in CHECK alone what differs: what is as it must be is not touched, and what differs is
 * made so again by `mend`. What that cannot mend either is its error.
 */
export async function repairByCheck(
  check: () => void | Promise<void>,
  mend: () => unknown,
): Promise<string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    await mend();
    return [errorText(error)];
  }
}
