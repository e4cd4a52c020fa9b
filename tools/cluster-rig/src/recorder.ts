/** Writes down what happens, with one clock, in memory and in a file. */
import { createWriteStream, type WriteStream } from 'node:fs';
import type { HistoryEvent } from './history.ts';

export class Recorder {
  readonly events: HistoryEvent[] = [];
  readonly #file: WriteStream;

  constructor(path: string) {
    this.#file = createWriteStream(path);
  }

  add(event: HistoryEvent): void {
    this.events.push(event);
    this.#file.write(`${JSON.stringify(event)}\n`);
  }

  /** For sabotage. */
  replace(event: HistoryEvent, by: HistoryEvent): void {
    this.events[this.events.indexOf(event)] = by;
  }

  close(): Promise<void> {
    return new Promise((done) => this.#file.end(done));
  }
}
