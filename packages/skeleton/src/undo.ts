import { releaseDescriptors } from '@cni-ts/libc/spare-descriptors';
import { wasRefused } from '@cni-ts/libc/syscall-error';
import { errorText } from '@cni-ts/spec/cni-error';
import type { CallLog } from './call-log.ts';

interface Step {
  readonly what: string;
  readonly step: () => void | Promise<void>;
}

/** What one ADD has made, as steps that take it back. Each step is there before the thing it undoes, so that a failure
 *  at any moment finds it here. The skeleton runs the list; a plugin only adds to it. */
export class Undo {
  #steps: Step[] = [];
  /** Where the steps of the call are written, where somebody asked for it. */
  readonly log: CallLog | undefined;

  constructor(log?: CallLog) {
    this.log = log;
  }

  /**
   * Makes one thing, with its undo registered first: the kernel's answer can be lost after it did what was asked. When
   * the kernel refuses (see wasRefused), nothing was made and the step is withdrawn. So `step` may run although the
   * thing was never made, or while another's thing has its name: it removes only what carries this attachment's mark.
   */
  make<T>(what: string, work: () => T, step: () => void | Promise<void>): T {
    const registered: Step = { what, step };
    this.#steps.push(registered);
    const around = this.log?.step(what);
    try {
      const made = work();
      if (around !== undefined) this.log?.step(around);
      return made;
    } catch (error) {
      this.log?.failed(error);
      if (wasRefused(error)) this.#steps.splice(this.#steps.indexOf(registered), 1);
      throw error;
    }
  }

  /** `what` names the thing in an operator's words (`veth veth1a2b`); `step` removes it and may find it gone. */
  add(what: string, step: () => void | Promise<void>): void {
    this.#steps.push({ what, step });
  }

  get empty(): boolean {
    return this.#steps.length === 0;
  }

  /** Last made, first undone; every step is tried whatever the others do. Returns the failures in words and
   *  forgets the steps, so that a second run does nothing. */
  async run(): Promise<string[]> {
    const failures: string[] = [];
    releaseDescriptors();
    for (let last = this.#steps.pop(); last !== undefined; last = this.#steps.pop()) {
      this.log?.step(`undo ${last.what}`);
      try {
        await last.step();
      } catch (thrown) {
        this.log?.failed(thrown);
        failures.push(`could not undo ${last.what}: ${errorText(thrown)}`);
      }
    }
    return failures;
  }
}
