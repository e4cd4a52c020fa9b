import { errorText } from './cni-error.ts';

/** What one ADD has made, as steps that take it back. Each step is added right after the thing it undoes, so that
 *  a failure anywhere later finds it here. The skeleton runs the list; a plugin only adds to it. */
export class Undo {
  #steps: { what: string; step: () => void | Promise<void> }[] = [];

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
    for (let last = this.#steps.pop(); last !== undefined; last = this.#steps.pop()) {
      try {
        await last.step();
      } catch (thrown) {
        failures.push(`could not undo ${last.what}: ${errorText(thrown)}`);
      }
    }
    return failures;
  }
}
