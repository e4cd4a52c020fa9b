/** The paper that a picture is laid out on, from top to bottom. */
import type { CardPart, Layout, Line, Role, Shape, TextBox } from './drawing.ts';
import { fitted, textWidth } from './text-box.ts';

/** Free on every side. */
export const margin = 24;

export class Page {
  readonly shapes: Shape[] = [];
  readonly lines: Line[] = [];
  readonly texts: TextBox[] = [];
  readonly cards: CardPart[] = [];
  /** Where the next thing may begin. */
  bottom = margin;

  /** Writes as much as fits until `end`; returns where the text ends. */
  write(text: string, x: number, y: number, end: number, role: Role, size: number, mono = false): number {
    const shown = fitted(text, end - x, size, mono);
    const width = textWidth(shown, size, mono);
    if (text === '' || width > end - x) return x;
    this.texts.push({ x, y, width, height: Math.ceil(size * 1.35), text: shown, size, mono, role });
    return x + width;
  }

  layout(width: number): Layout {
    const { shapes, lines, texts, cards } = this;
    return { width, height: this.bottom + margin, shapes, lines, texts, cards };
  }
}

const mostLines = 3;

/** Words one after the other, in at most three lines; returns how much height they took. */
export function flow(page: Page, words: readonly string[], from: number, end: number): number {
  let x = from;
  let y = page.bottom;
  let lines = 1;
  for (const [at, word] of words.entries()) {
    const width = textWidth(word, 12, false);
    const isLastLine = lines === mostLines;
    const reserve = isLastLine && at < words.length - 1 ? 90 : 0;
    if (x > from && x + width > end - reserve) {
      if (isLastLine) {
        page.write(`and ${words.length - at} more`, x, y, end, 'dim', 12);
        break;
      }
      x = from;
      y += 17;
      lines++;
    }
    x = page.write(word, x, y, end, 'dim', 12) + 10;
  }
  return lines * 17 + 2;
}
