/**
 * Where everything of a picture stands: rectangles, lines and texts with their boxes, in pixels. No text box meets
 * another, whatever is written in them. How it is drawn is not known here.
 */
import { cardDrawing, cardWidthOf } from './card-layout.ts';
import type { Drawn, Layout, Role } from './drawing.ts';
import type { Group, Picture, PictureLink } from './picture.ts';
import { flow, margin, Page } from './sheet.ts';
import { fitted, textWidth } from './text-box.ts';

const gap = 14;
/** Left of the groups, where the line from the uplink runs down. */
const rail = 26;
const pad = 16;
const widest = 1440;
const narrowest = 760;

/** As a drawing of its own, which is seen whole: of the usual widths the one by which it is most like a screen. */
export function layOutWhole(picture: Picture): Layout {
  const all = [1100, 1440, 1800, 2200, 2600, 3000].map((width) => layOut(picture, width));
  const distance = ({ width, height }: Layout) => Math.abs(Math.log(width / height / 1.6));
  return all.reduce((best, one) => (distance(one) < distance(best) ? one : best));
}

/** `width`: what the picture may take at most. */
export function layOut(picture: Picture, width = widest): Layout {
  const page = new Page();
  const cardWidth = cardWidthOf(picture, width - 2 * margin - rail - 2 * pad);
  const room = width - 2 * margin - rail - 2 * pad;
  const most = Math.max(1, Math.floor((room + gap) / (cardWidth + gap)));
  const columns = Math.min(most, Math.max(1, ...picture.groups.map(({ cards }) => columnsFor(cards.length))));
  const inner = Math.min(
    width - 2 * margin,
    Math.max(narrowest, columns * (cardWidth + gap) - gap + 2 * pad + rail),
  );
  const right = margin + inner;
  heading(page, picture, right);
  host(page, picture, right);
  const start = page.bottom;
  let last = start;
  for (const one of picture.groups) {
    page.bottom += gap + 4;
    const middle = group(page, one, picture, right, cardWidth);
    if (one.kind === 'foreign') continue;
    const x = margin + rail / 2;
    page.lines.push({
      role: 'rail',
      points: [
        [x, middle],
        [margin + rail, middle],
      ],
    });
    last = middle;
  }
  if (last > start) {
    const x = margin + rail / 2;
    page.lines.unshift({
      role: 'rail',
      points: [
        [x, start],
        [x, last],
      ],
    });
  }
  return page.layout(right + margin);
}

/** Few stand in one line; many so that the whole is wider than high. */
function columnsFor(cards: number): number {
  return cards <= 4 ? cards : Math.max(4, Math.ceil(Math.sqrt(cards * 1.5)));
}

function heading(page: Page, picture: Picture, right: number): void {
  const count = picture.groups.reduce(
    (sum, { kind, cards }) => sum + (kind === 'foreign' ? 0 : cards.length),
    0,
  );
  const told = [
    plural(count, 'container', picture.groups),
    `${picture.networks.length} network${picture.networks.length === 1 ? '' : 's'}`,
    ...(picture.problems === 0 ? [] : [`${picture.problems} with a problem`]),
  ].join(' · ');
  const toldWidth = textWidth(told, 13, false);
  page.write(picture.node || 'this node', margin, page.bottom, right - toldWidth - gap, 'title', 22);
  page.texts.push({
    x: right - toldWidth,
    y: page.bottom + 8,
    width: toldWidth,
    height: 18,
    text: told,
    size: 13,
    mono: false,
    role: picture.problems > 0 ? 'problem' : 'dim',
    atEnd: true,
  });
  page.bottom += 36;
  let x = margin;
  for (const [at, { name, plugins, attachments }] of picture.networks.entries()) {
    const label = fitted(name, 260, 13, false);
    const detail = fitted(`${plugins.join(' + ')} · ${attachments}`, 320, 12, false);
    const width = 20 + textWidth(label, 13, false) + 8 + textWidth(detail, 12, false);
    if (x > margin && x + width > right) {
      x = margin;
      page.bottom += 22;
    }
    page.shapes.push({ x, y: page.bottom + 3, width: 12, height: 12, role: 'swatch', hue: at });
    const end = page.write(label, x + 20, page.bottom, right, 'network', 13);
    x = page.write(detail, end + 8, page.bottom + 1, right, 'dim', 12) + 28;
  }
  page.bottom += picture.networks.length === 0 ? 0 : 30;
}

/** A container in two places is one. */
function plural(cards: number, word: string, groups: readonly Group[]): string {
  const ids = new Set(
    groups.flatMap((one) => one.cards.map(({ containerId, netns }) => `${containerId} ${netns}`)),
  );
  const count = cards === 0 ? 0 : ids.size - foreigners(groups);
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

function foreigners(groups: readonly Group[]): number {
  return groups.reduce((sum, { kind, cards }) => sum + (kind === 'foreign' ? cards.length : 0), 0);
}

/** The host's own links: those that lead outside, and those that nobody here uses. */
function host(page: Page, { uplinks, others }: Picture, right: number): void {
  const top = page.bottom;
  const at = page.shapes.length;
  page.bottom += 10;
  page.write('host', margin + pad, page.bottom, right - pad, 'head', 14);
  let x = margin + pad + 64;
  let high = 24;
  for (const one of uplinks) {
    const lines: Spans[] = [
      [
        ['name', one.name],
        ['dim', about(one)],
      ],
      ...one.addresses.map((address): Spans => [['value', address]]),
      ...one.gateways.map(
        (hop): Spans => [
          ['dim', 'gateway'],
          ['value', hop],
        ],
      ),
    ];
    const width = 20 + Math.max(...lines.map((line) => lineWidth(line)));
    if (x > margin + pad + 64 && x + width > right - pad) {
      page.bottom += high + 10;
      x = margin + pad + 64;
      high = 24;
    }
    const chip = Math.min(width, right - pad - x);
    const height = lines.length * 18 + 12;
    page.shapes.push({
      x,
      y: page.bottom,
      width: chip,
      height,
      role: 'chip',
      hue: -1,
      state: one.up ? undefined : 'bad',
    });
    for (const [row, line] of lines.entries()) {
      let from = x + 10;
      for (const [role, text] of line) {
        from = page.write(text, from, page.bottom + 7 + row * 18, x + chip - 8, role, 12, role !== 'dim') + 8;
      }
    }
    x += chip + gap;
    high = Math.max(high, height);
  }
  if (uplinks.length === 0) page.write('no default route', x, page.bottom + 1, right - pad, 'dim', 12);
  page.bottom += high + 8;
  if (others.length > 0)
    page.bottom += flow(
      page,
      ['other links:', ...others.map(({ name }) => name)],
      margin + pad + 64,
      right - pad,
    );
  page.bottom += 4;
  page.shapes.splice(at, 0, {
    x: margin,
    y: top,
    width: right - margin,
    height: page.bottom - top,
    role: 'host',
    hue: -1,
  });
}

/** Words of a line, each with what it is. */
type Spans = readonly (readonly [Role, string])[];

function lineWidth(line: Spans): number {
  return line.reduce((sum, [role, text]) => sum + textWidth(text, 12, role !== 'dim') + 8, 0);
}

function about({ kind, up, mtu }: PictureLink): string {
  return `${kind ? `${kind} · ` : ''}mtu ${mtu}${up ? '' : ' · down'}`;
}

/** The cards of a line are of one height. */
function asHighAs(drawn: Drawn, height: number): Drawn {
  const shapes = drawn.shapes.map((one) => (one.role === 'dot' ? one : { ...one, height }));
  return { ...drawn, height, shapes };
}

/** Returns where the line from the uplink meets it. */
function group(page: Page, one: Group, picture: Picture, right: number, cardWidth: number): number {
  const left = margin + rail;
  const top = page.bottom;
  const at = page.shapes.length;
  const middle = top + 18;
  let x = page.write(one.title, left + pad, top + 9, right - pad - 200, 'head', 14) + 14;
  const { link } = one;
  const facts: (readonly [Role, string])[] = [
    ...(link?.addresses ?? []).map((address) => ['value', address] as const),
    ...(link ? [['dim', link.up ? `mtu ${link.mtu}` : `mtu ${link.mtu} · down`] as const] : []),
    ...(one.masquerade ? [['limit', 'masqueraded'] as const] : []),
    ...(one.cards.length > 0
      ? [['dim', `${one.cards.length} attached`] as const]
      : [['dim', 'nobody attached'] as const]),
  ];
  page.bottom += 11;
  for (const [role, text] of facts) {
    const mono = role === 'value';
    if (x > left + pad && x + textWidth(text, 12, mono) > right - pad) {
      x = left + pad;
      page.bottom += 20;
    }
    x = page.write(text, x, page.bottom, right - pad, role, 12, mono) + 14;
  }
  page.bottom += 25;
  page.shapes.push({
    x: left,
    y: top,
    width: right - left,
    height: page.bottom - top,
    role: 'bar',
    hue: -1,
    // A bridge without a port is down, and nothing is wrong with it.
    state: link && !link.up && one.cards.length > 0 ? 'bad' : undefined,
  });
  if (one.strangers.length > 0) {
    page.bottom += 8;
    page.bottom += flow(page, ['other ports:', ...one.strangers], left + pad, right - pad);
  }
  if (one.cards.length > 0) cards(page, one, picture, { left, right, cardWidth });
  else page.bottom += one.strangers.length > 0 ? 4 : 0;
  page.shapes.splice(at, 0, {
    x: left,
    y: top,
    width: right - left,
    height: page.bottom - top,
    role: 'group',
    hue: -1,
  });
  return middle;
}

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly cardWidth: number;
}

/** Rows of cards, each as high as its highest; a line from the bar runs down left of each column. */
function cards(page: Page, one: Group, picture: Picture, { left, right, cardWidth }: Frame): void {
  const room = right - left - 2 * pad;
  const columns = Math.max(1, Math.min(one.cards.length, Math.floor((room + gap) / (cardWidth + gap))));
  const barBottom = page.bottom;
  page.bottom += pad;
  const isMany = one.cards.length > 12;
  const ends: number[] = [];
  for (let from = 0; from < one.cards.length; from += columns) {
    const line = one.cards.slice(from, from + columns).map((card, column) => {
      const x = left + pad + column * (cardWidth + gap);
      if (one.kind !== 'foreign') ends[column] = page.bottom + 16;
      const drawn = cardDrawing(card, { x, y: page.bottom, width: cardWidth }, picture, isMany);
      return { drawn, container: card.containerId || card.netns };
    });
    const high = Math.max(...line.map(({ drawn }) => drawn.height));
    for (const { drawn, container } of line) {
      page.cards.push({ ...asHighAs(drawn, high), at: page.cards.length, container });
    }
    page.bottom += high + gap;
  }
  page.bottom += pad - gap;
  for (const [column, end] of ends.entries()) {
    const x = left + pad + column * (cardWidth + gap) - 7;
    page.lines.push({
      role: 'trunk',
      points: [
        [x, barBottom],
        [x, end],
      ],
    });
    for (const part of page.cards) {
      if (part.x === x + 7 && part.y > barBottom && part.y < end) {
        page.lines.push({
          role: 'trunk',
          points: [
            [x, part.y + 16],
            [x + 7, part.y + 16],
          ],
        });
      }
    }
  }
}
