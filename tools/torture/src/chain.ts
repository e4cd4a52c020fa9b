/** An attachment to a chain of plugins, each plugin a process of its own, many at the same time. */
import { Child, type Ended } from '@cni-ts/libc/child';
import { type Attachment, callOf } from './attachment.ts';
import type { Call, Host } from './host.ts';
import type { Network } from './networks.ts';
import { clip, parsed } from './verdict.ts';

const seconds = 120;

/** One chain on its way: ADD goes from the first plugin to the last, DEL the other way. */
export class Walk {
  readonly one: Attachment;
  readonly calls: Call[] = [];
  result: unknown;
  /** What went wrong. */
  complaint: string | undefined;
  readonly #host: Host;
  readonly #verb: 'ADD' | 'DEL';
  readonly #name: string;
  readonly #rest: Network[];

  constructor(
    host: Host,
    verb: 'ADD' | 'DEL',
    name: string,
    members: readonly Network[],
    one: Attachment,
    result?: unknown,
  ) {
    this.#host = host;
    this.#verb = verb;
    this.#name = name;
    this.#rest = verb === 'ADD' ? [...members] : [...members].reverse();
    this.one = one;
    this.result = result;
  }

  /** Starts the next plugin; undefined at the end. */
  next(): Child | undefined {
    const network = this.complaint === undefined ? this.#rest.shift() : undefined;
    if (!network) return undefined;
    const call = callOf(this.#host, this.#verb, network, this.#name, this.one, this.result);
    this.calls.push(call);
    return this.#host.start(call);
  }

  took({ status, stdout, stderr }: Ended): void {
    if (status !== 0)
      this.complaint = `${this.calls.at(-1)?.type} ${this.#verb}: exit status ${status}: ${clip(stdout + stderr)}`;
    else if (this.#verb === 'ADD') this.result = parsed(stdout);
  }
}

/** All of them at the same time, to their ends. */
export function walkAll(walks: readonly Walk[]): void {
  const running = new Map<Child, Walk>();
  const goOn = (walk: Walk) => {
    const child = walk.next();
    if (child) running.set(child, walk);
  };
  for (const walk of walks) goOn(walk);
  while (running.size > 0) {
    for (const { child, ended } of Child.waitAny([...running.keys()], seconds)) {
      const walk = running.get(child);
      running.delete(child);
      walk?.took(ended);
      if (walk) goOn(walk);
    }
  }
}

/** The first address in a result. */
export function addressOf(result: unknown): string {
  return (result as { ips?: { address: string }[] } | undefined)?.ips?.[0]?.address ?? ''; // reason: a result of 1.1.0
}
