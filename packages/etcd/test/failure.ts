/** How a request ends that must not succeed. */
import { EtcdError } from '../src/etcd-error.ts';

/** What it rejects with; throws where it succeeds, or rejects with anything else. */
export async function failure(work: Promise<unknown>): Promise<EtcdError> {
  const error: unknown = await work.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof EtcdError) return error;
  throw error;
}
