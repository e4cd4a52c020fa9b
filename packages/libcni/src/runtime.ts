/**
 * The runtime library: what an engine calls to attach containers to networks.
 *
 * The caller's duties (spec section 2): one operation at a time for a container, no GC beside any other operation,
 * a DEL after every ADD, a failed one too.
 */
import { type Executor, processExecutor } from './executor.ts';
import { Operations, type OperationsOptions } from './operations.ts';

export type { CallOptions } from './call.ts';
export { CheckNotSupportedError } from './network-version.ts';

export interface RuntimeOptions extends Omit<OperationsOptions, 'executor'> {
  /** Default: each plugin is a process, its stderr goes to ours. */
  readonly executor?: Executor;
}

/** The operations, with plugins as processes unless told otherwise. A program that always tells takes `Operations`. */
export class Runtime extends Operations {
  constructor(options: RuntimeOptions) {
    super({ ...options, executor: options.executor ?? processExecutor() });
  }
}
