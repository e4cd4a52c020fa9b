import type { Variables } from '@cni-ts/invoke/environment';
import type { NamespaceId } from '@cni-ts/libc/netns';
import type { Plugin } from './plugin.ts';

/** What a plugin has around it when it is called, whether it has a process of its own or not. */
export interface Surroundings {
  readonly env: Variables;
  writeStderr(text: string): void;
  /** A plugin of this same program, so that a delegate needs no process of its own. */
  inProcess?(type: string): Plugin | undefined;
  /** Whether another file is a plugin of ours in another build, that is to be called in this process all the same. */
  kin?(program: string): boolean;
  /** The namespace CNI_NETNS must not be; default: that of the running thread. */
  ownNetns?(): NamespaceId | undefined;
  /** Name of the signal that told the process to stop, once one has. ADD asks before it answers. */
  interrupted?(): string | undefined;
}

/** What a plugin may touch of its process. */
export interface Process extends Surroundings {
  /** Everything up to end of file. Not called for VERSION. */
  readStdin(): string;
  /** Writes all of it or throws. */
  writeStdout(text: string): void;
}
