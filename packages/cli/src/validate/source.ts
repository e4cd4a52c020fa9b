/** A text with its name, and where in it things are. */

export interface Place {
  /** Both begin with 1; columns count characters. */
  readonly line: number;
  readonly column: number;
}

export class Source {
  /** As it is told to people. */
  readonly file: string;
  readonly text: string;
  #starts: number[] | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  place(offset: number): Place {
    const starts = this.#lines();
    let line = 0;
    while (line + 1 < starts.length && (starts[line + 1] ?? 0) <= offset) line++;
    const begin = starts[line] ?? 0;
    return { line: line + 1, column: Array.from(this.text.slice(begin, offset)).length + 1 };
  }

  offset({ line, column }: Place): number {
    const begin = this.#lines()[line - 1] ?? 0;
    return (
      begin +
      Array.from(this.text.slice(begin))
        .slice(0, column - 1)
        .join('').length
    );
  }

  /** The text of a line, without its end. */
  line(number: number): string {
    const starts = this.#lines();
    const end = starts[number] ?? this.text.length + 1;
    return this.text.slice(starts[number - 1] ?? 0, end - 1).replace(/\r$/, '');
  }

  #lines(): number[] {
    if (this.#starts) return this.#starts;
    const starts = [0];
    for (let at = this.text.indexOf('\n'); at >= 0; at = this.text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#starts = starts;
    return starts;
  }
}
