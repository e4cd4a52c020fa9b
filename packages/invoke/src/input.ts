import { parseJson } from '@cni-ts/spec/json';

/**
 * A plugin's configuration on its way there: as the text that a process reads, and as what that says, for a plugin of the
 * same program. Each is made when it is asked for first, and once.
 */
export class Input {
  readonly #print: () => string;
  readonly #read: (() => unknown) | undefined;
  #text: string | undefined;
  #known: { readonly json: unknown } | undefined;

  /** `read`: what a reader makes of the text, where that can be told without it. */
  constructor(print: () => string, read?: () => unknown) {
    this.#print = print;
    this.#read = read;
  }

  get text(): string {
    this.#text ??= this.#print();
    return this.#text;
  }

  /** Plain JSON, which nobody changes. Throws a SyntaxError where the text is none. */
  get json(): unknown {
    this.#known ??= { json: this.#read ? this.#read() : parseJson(this.text, '') };
    return this.#known.json;
  }
}
