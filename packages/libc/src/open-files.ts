import { libc } from './internal/calls.ts';

const RLIMIT_NOFILE = 7;

/** Lets this process have as many descriptors open as its hard limit allows. Without effect where that is refused. */
export function allowManyFiles(): void {
  // struct rlimit: the soft limit, then the hard one, 8 bytes each
  const limits = new Uint8Array(16);
  if (libc().getrlimit(RLIMIT_NOFILE, limits) !== 0) return;
  limits.copyWithin(0, 8, 16);
  libc().setrlimit(RLIMIT_NOFILE, limits);
}
