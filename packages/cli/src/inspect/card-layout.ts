/** One container's card: what is written on it, line by line, and where. */
import type { Drawn, Role, Shape, TextBox } from './drawing.ts';
import type { Card, Picture } from './picture.ts';
import { fitted, textWidth } from './text-box.ts';

interface Span {
  readonly text: string;
  readonly role: Role;
  readonly size: number;
  readonly mono: boolean;
}

type CardLine = readonly Span[];

const inset = 14;
const space = 7;
const lineHeight = 17;
/** What a long name may make all cards wide for. */
const mostForTitle = 260;

const dim = (text: string): Span => ({ text, role: 'dim', size: 11, mono: false });
const mono = (text: string, role: Role): Span => ({ text, role, size: 12, mono: true });

/** As wide as the widest line of all cards asks for, between what looks good and what a column may take. */
export function cardWidthOf({ groups }: Picture, room: number): number {
  const cards = groups.flatMap(({ cards }) => cards);
  const addresses = cards.flatMap((card) => addressLines(card).map(widthOf));
  const titles = cards.map(({ title }) => Math.min(mostForTitle, 16 + textWidth(title, 13, false)));
  const asked = 2 * inset + Math.max(0, ...addresses, ...titles);
  return Math.min(room, Math.max(236, Math.min(380, asked)));
}

function widthOf(line: CardLine): number {
  return line.reduce((sum, { text, size, mono }) => sum + textWidth(text, size, mono) + space, 0);
}

/** The interface, and its addresses each in a line, so that none is cut. */
function addressLines({ interfaces }: Card): CardLine[] {
  return interfaces.flatMap(({ name, addresses, remembered }) => {
    const [first = 'no address', ...more] = addresses;
    const role = remembered ? 'dim' : 'value';
    return [
      [mono(name, 'name'), mono(first, addresses.length === 0 ? 'dim' : role)],
      ...more.map((address) => [mono(' '.repeat(Math.min(4, name.length)), 'dim'), mono(address, role)]),
    ];
  });
}

export function cardDrawing(
  card: Card,
  { x, y, width }: { readonly x: number; readonly y: number; readonly width: number },
  picture: Picture,
  isMany: boolean,
): Drawn {
  const texts: TextBox[] = [];
  const room = width - 2 * inset;
  const put = (line: CardLine, top: number, indent = 0) => {
    let from = x + inset + indent;
    for (const { text, role, size, mono } of line) {
      const end = x + inset + room;
      const shown = fitted(text, end - from, size, mono);
      const wide = textWidth(shown, size, mono);
      if (wide > end - from) break;
      if (shown.trim() !== '') {
        texts.push({
          x: from,
          y: top,
          width: wide,
          height: Math.ceil(size * 1.35),
          text: shown,
          size,
          mono,
          role,
        });
      }
      from += wide + space;
    }
  };
  const hue = picture.networks.findIndex(({ name }) => name === card.interfaces[0]?.network);
  const bad = card.problems.length > 0;
  put([{ text: card.title, role: 'head', size: 13, mono: false }], y + 8, 16);
  const dot: Shape = {
    x: x + inset,
    y: y + 12,
    width: 8,
    height: 8,
    role: 'dot',
    hue: -1,
    state: bad && card.state === 'lives' ? 'bad' : card.state,
  };
  let top = y + 30;
  for (const line of linesOf(card, room, isMany)) {
    put(line, top);
    top += lineHeight;
  }
  const height = top - y + 8;
  return {
    x,
    y,
    width,
    height,
    texts,
    shapes: [
      {
        x,
        y,
        width,
        height,
        role: 'card',
        hue,
        state: bad ? (card.state === 'gone' ? 'gone' : 'bad') : undefined,
      },
      { x, y, width: 5, height, role: 'stripe', hue },
      dot,
    ],
    words: wordsOf(card),
    tooltip: tooltipOf(card),
  };
}

function linesOf(card: Card, room: number, isMany: boolean): CardLine[] {
  const { interfaces, limits, elsewhere, problems } = card;
  const lines: CardLine[] = [];
  if (!isMany && card.title !== card.containerId && card.containerId !== '')
    lines.push([dim(card.containerId)]);
  const told = addressLines(card).flatMap((line) => broken(line, room));
  lines.push(...told);
  const ends = interfaces.filter(({ hostLink }) => hostLink !== '');
  if (!isMany && ends.length > 0) {
    lines.push([dim(`⇄ ${ends.map(({ hostLink }) => hostLink).join(', ')}`)]);
  }
  lines.push(...portLines(card.ports, room, isMany ? 2 : 6));
  const both = limitTexts(limits);
  if (both.length > 0) lines.push([{ text: both.join('  '), role: 'limit', size: 11, mono: false }]);
  if (elsewhere.length > 0) lines.push([dim(`also ${elsewhere.join(', ')}`)]);
  for (const problem of problems.slice(0, 3))
    lines.push([{ text: problem, role: 'problem', size: 11, mono: false }]);
  return lines;
}

/** A long address goes on in a second line: cut it would be another. */
function broken(line: CardLine, room: number): CardLine[] {
  const [name, address] = line;
  if (name === undefined || address === undefined || widthOf(line) - space <= room) return [line];
  const own = { ...name, text: fitted(name.text, room / 3, name.size, true) };
  const left = room - textWidth(own.text, own.size, true) - space;
  if (textWidth(address.text, address.size, true) <= left) return [[own, address]];
  const fit = Math.max(1, Math.floor(left / textWidth('0', 12, true)) - 1);
  const parts: CardLine[] = [];
  for (let at = 0; at < address.text.length; at += fit) {
    const part = { ...address, text: address.text.slice(at, at + fit) };
    parts.push([at === 0 ? own : { ...own, text: ' '.repeat(own.text.length) }, part]);
  }
  return parts;
}

function portLines(ports: readonly string[], room: number, most: number): CardLine[] {
  const lines: Span[][] = [];
  let left = 0;
  for (const [at, port] of ports.entries()) {
    const span: Span = { text: port, role: 'port', size: 11, mono: true };
    const width = textWidth(port, 11, true) + space;
    const isLast = lines.length === most;
    const reserve = isLast && at < ports.length - 1 ? 40 : 0;
    if (lines.length > 0 && width <= left - reserve) {
      lines.at(-1)?.push(span);
      left -= width;
    } else if (isLast) {
      lines.at(-1)?.push(dim(`+${ports.length - at}`));
      break;
    } else {
      lines.push([span]);
      left = room - width;
    }
  }
  return lines;
}

/** `↓ 20 Mbit/s`, `↑ 5 Mbit/s`: those that there are. */
export function limitTexts({ toContainer, fromContainer }: Card['limits']): string[] {
  return [
    ...(toContainer === undefined ? [] : [`↓ ${bitsText(toContainer)}`]),
    ...(fromContainer === undefined ? [] : [`↑ ${bitsText(fromContainer)}`]),
  ];
}

/** 12500000 → `12.5 Mbit/s`. */
export function bitsText(bits: number): string {
  const steps = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'];
  let [value, step] = [bits, 0];
  while (value >= 1000 && step < steps.length - 1) {
    value /= 1000;
    step++;
  }
  return `${Number(value.toFixed(value < 10 ? 2 : 1))} ${steps[step]}`;
}

function wordsOf({ title, containerId, netns, interfaces, ports, problems }: Card): string {
  const links = interfaces.flatMap(({ name, network, addresses, hostLink }) => [
    name,
    network,
    ...addresses,
    hostLink,
  ]);
  return [title, containerId, netns, ...links, ...ports, ...problems]
    .filter((one) => one !== '')
    .join(' ')
    .toLowerCase();
}

function tooltipOf({ title, containerId, netns, interfaces, ports, problems }: Card): string {
  return [
    title,
    ...(containerId === title || containerId === '' ? [] : [containerId]),
    netns,
    ...interfaces.map(({ name, network, addresses, hostLink }) =>
      [name, network, ...addresses, hostLink && `⇄ ${hostLink}`].filter(Boolean).join(' '),
    ),
    ...ports,
    ...problems,
  ]
    .filter((one) => one !== '')
    .join('\n');
}
