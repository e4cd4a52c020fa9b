/** What a picture is drawn of: rectangles, lines and texts, each with its place in pixels. */

export interface TextBox {
  readonly x: number;
  /** The upper edge. */
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly text: string;
  readonly size: number;
  readonly mono: boolean;
  /** It ends where its box ends; else it begins where that begins. */
  readonly atEnd?: true;
  /** What it is, which says how it looks. */
  readonly role: Role;
}

export type Role = 'title' | 'head' | 'name' | 'value' | 'dim' | 'port' | 'limit' | 'problem' | 'network';

export interface Shape {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly role: 'host' | 'chip' | 'group' | 'bar' | 'card' | 'stripe' | 'swatch' | 'dot';
  /** Which of the networks' colours; -1 none. */
  readonly hue: number;
  readonly state?: 'lives' | 'gone' | 'unknown' | 'bad' | undefined;
}

export interface Line {
  /** Corners, from one end to the other. */
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly role: 'rail' | 'trunk';
}

/** One card with all that is in it. */
export interface Drawn {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly shapes: readonly Shape[];
  readonly texts: readonly TextBox[];
  /** All that one may look for, in small letters. */
  readonly words: string;
  readonly tooltip: string;
}

/** A card in its picture, so that it can be found and lit up with those of the same container. */
export interface CardPart extends Drawn {
  readonly container: string;
  /** Its number in the picture, from 0. */
  readonly at: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly shapes: readonly Shape[];
  readonly lines: readonly Line[];
  readonly texts: readonly TextBox[];
  readonly cards: readonly CardPart[];
}
