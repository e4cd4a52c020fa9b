/** A layout as SVG. Every text is escaped: names are somebody else's. */
import { isControl } from './control-letter.ts';
import type { CardPart, Layout, Line, Shape, TextBox } from './drawing.ts';

/** A picture of its own, which follows the light or the dark of who looks at it. */
export function svgText(layout: Layout, title: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${svgElement(layout, title, `<style>${svgStyle('svg')}</style>`)}\n`;
}

/** `cardLink`: where a card leads to, by its number. */
export function svgElement(
  { width, height, shapes, lines, texts, cards }: Layout,
  title: string,
  style: string,
  cardLink?: (at: number) => string,
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="picture" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    style,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...shapes.map(rectangle),
    ...lines.map(polyline),
    ...texts.map(textElement),
    ...cards.map((one) => cardElement(one, cardLink)),
    '</svg>',
  ]
    .filter((line) => line !== '')
    .join('\n');
}

function cardElement(card: CardPart, link?: (at: number) => string): string {
  const inner = [
    `<title>${escaped(card.tooltip)}</title>`,
    ...card.shapes.map(rectangle),
    ...card.texts.map(textElement),
  ].join('');
  const group = `<g class="one" data-container="${escaped(card.container)}" data-words="${escaped(card.words)}">${inner}</g>`;
  return link === undefined ? group : `<a href="${escaped(link(card.at))}">${group}</a>`;
}

const corners: Readonly<Partial<Record<Shape['role'], number>>> = {
  host: 12,
  chip: 8,
  group: 12,
  bar: 12,
  card: 9,
  swatch: 3,
  dot: 4,
  stripe: 2,
};

function rectangle({ x, y, width, height, role, hue, state }: Shape): string {
  const classes = [role, ...(hue >= 0 ? [`n${hue % hues}`] : []), ...(state ? [state] : [])].join(' ');
  return `<rect class="${classes}" x="${x}" y="${y}" width="${width}" height="${height}" rx="${corners[role] ?? 0}"/>`;
}

function polyline({ points, role }: Line): string {
  return `<polyline class="${role}" points="${points.map((one) => one.join(',')).join(' ')}"/>`;
}

function textElement({ x, y, width, text, size, mono, role, atEnd }: TextBox): string {
  // The baseline: ascenders have about the font's size above it, and the box is a third higher than that.
  const baseline = Math.round((y + size * 1.02) * 10) / 10;
  return `<text class="${role}${mono ? ' mono' : ''}" x="${atEnd ? x + width : x}" y="${baseline}"${atEnd ? ' text-anchor="end"' : ''} font-size="${size}">${escaped(text)}</text>`;
}

/** How many colours networks have; more begin anew. */
const hues = 8;

const light = {
  paper: '#ffffff',
  ink: '#16202b',
  dim: '#5d6b79',
  host: '#eef2f6',
  group: '#f7f9fb',
  bar: '#e3eaf1',
  edge: '#c9d3dd',
  card: '#ffffff',
  chip: '#ffffff',
  value: '#1c2733',
  name: '#0b5fae',
  port: '#7a3e9d',
  limit: '#96570a',
  bad: '#c22b2b',
  badCard: '#fdf1f1',
  good: '#2b9a52',
  line: '#8fa0b1',
  n: ['#2f7fd3', '#e0812b', '#2e9e6b', '#b3509e', '#8a7a1f', '#2aa0b0', '#d0524f', '#6d65c9'],
};
const dark: typeof light = {
  paper: '#10161d',
  ink: '#e8eef4',
  dim: '#93a3b3',
  host: '#18212b',
  group: '#151d26',
  bar: '#202c38',
  edge: '#33424f',
  card: '#1b2530',
  chip: '#202c38',
  value: '#dce5ee',
  name: '#6cb6ff',
  port: '#d7a3f0',
  limit: '#eab464',
  bad: '#ff7b72',
  badCard: '#2d1f23',
  good: '#4bc476',
  line: '#5b6d7e',
  n: ['#4a9bf0', '#f09c4e', '#4cc38a', '#d67bc3', '#c2b04a', '#4cc3d3', '#f0787a', '#938cf0'],
};

function variables({ n, ...named }: typeof light): string {
  const own = Object.entries(named).map(([name, colour]) => `--${name}:${colour}`);
  return [...own, ...n.map((colour, at) => `--n${at}:${colour}`)].join(';');
}

/** `root`: what the colours are told to. Light, unless who looks asks for dark; `data-theme` overrules. */
export function svgStyle(root: string): string {
  return `
${root}{${variables(light)}}
@media (prefers-color-scheme:dark){${root}{${variables(dark)}}}
${root}[data-theme=light]{${variables(light)}}
${root}[data-theme=dark]{${variables(dark)}}
.picture text{font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;fill:var(--ink);white-space:pre}
.picture text.mono{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.picture text.title{font-weight:700}.picture text.head,.picture text.network{font-weight:600}
.picture text.dim{fill:var(--dim)}.picture text.value{fill:var(--value)}.picture text.name{fill:var(--name);font-weight:600}
.picture text.port{fill:var(--port)}.picture text.limit{fill:var(--limit)}.picture text.problem{fill:var(--bad);font-weight:600}
.paper{fill:var(--paper)}.host{fill:var(--host);stroke:var(--edge)}.group{fill:var(--group);stroke:var(--edge)}
.bar{fill:var(--bar);stroke:var(--edge)}.chip{fill:var(--chip);stroke:var(--edge)}
rect.card{fill:var(--card);stroke:var(--edge)}rect.card.bad,rect.card.gone{fill:var(--badCard);stroke:var(--bad)}
.chip.bad,.bar.bad{stroke:var(--bad)}
rect.card.gone{stroke-dasharray:5 4}
.stripe,.swatch{fill:var(--dim)}
${Array.from({ length: hues }, (_, at) => `.stripe.n${at},.swatch.n${at}{fill:var(--n${at})}`).join('')}
.dot{fill:var(--dim)}.dot.lives{fill:var(--good)}.dot.bad,.dot.gone{fill:var(--bad)}
polyline{fill:none;stroke:var(--line);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}polyline.trunk{stroke-width:1.5}
`.trim();
}

/** For text and for attributes, of XML and of HTML. What XML has no place for at all becomes U+FFFD. */
export function escaped(text: string): string {
  let safe = '';
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    const isForbidden =
      isControl(code) || (code >= 0xd800 && code < 0xe000) || code === 0xfffe || code === 0xffff;
    safe += isForbidden ? '\ufffd' : (entities[letter] ?? letter);
  }
  return safe;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
