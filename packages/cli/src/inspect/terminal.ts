/** The picture for a terminal: a tree, in which many containers become a table. No line is wider than asked for. */
import { limitTexts } from './card-layout.ts';
import { withoutControls } from './control-letter.ts';
import type { Card, Group, Picture, PictureLink } from './picture.ts';

export interface Look {
  /** Columns. */
  readonly width: number;
  readonly colour: boolean;
}

/** A part of the tree: its own line, and what hangs below. */
interface Branch {
  readonly line: string;
  readonly colour?: Colour | undefined;
  readonly below: readonly Branch[];
}

type Colour = 'bold' | 'dim' | 'red';
const codes: Readonly<Record<Colour, string>> = { bold: '1', dim: '2', red: '31' };

/** From how many containers on each has one line instead of a branch. */
const many = 9;

export function terminalText(picture: Picture, look: Look): string {
  const { uplinks, groups, others, problems } = picture;
  const roots: Branch[] = [
    ...uplinks.map((one) => ({ line: `uplink ${linkText(one)}`, below: [] })),
    ...groups.map((one) => groupBranch(one, look)),
    ...(others.length === 0
      ? []
      : [
          {
            line: `other links: ${others.map(({ name }) => name).join(', ')}`,
            colour: 'dim',
            below: [],
          } as const,
        ]),
  ];
  const lines: string[] = [];
  write({ line: picture.node || 'this node', colour: 'bold', below: roots }, '', '', lines, look);
  if (problems > 0) lines.push('', painted(`${problems} with a problem`, 'red', look));
  // Columns are held together by blanks that end no line; who copies from the screen wants usual ones.
  return `${lines.join('\n').replaceAll('\u00a0', ' ')}\n`;
}

function write(
  { line, colour, below }: Branch,
  first: string,
  rest: string,
  lines: string[],
  look: Look,
): void {
  // What goes on in a second line stands below its own words, and beside the branches that follow.
  const further = `${rest}${below.length > 0 && rest !== first ? '│ ' : '  '}`;
  for (const [at, part] of wrapped(line, look.width - first.length, look.width - further.length).entries()) {
    lines.push(`${at === 0 ? first : further}${painted(part, colour, look)}`);
  }
  for (const [at, one] of below.entries()) {
    const isLast = at === below.length - 1;
    write(one, `${rest}${isLast ? '└─ ' : '├─ '}`, `${rest}${isLast ? '   ' : '│  '}`, lines, look);
  }
}

function painted(text: string, colour: Colour | undefined, { colour: isWanted }: Look): string {
  return isWanted && colour !== undefined ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

/** At blanks; a word that is longer than a line is cut wherever the line ends. */
function wrapped(text: string, first: number, further: number): string[] {
  const lines: string[] = [];
  let line = '';
  const room = () => Math.max(8, lines.length === 0 ? first : further);
  for (let word of text.split(' ')) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > room()) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? '' : ' ';
    while (widthOf(line) + widthOf(word) > room()) {
      const letters = [...word];
      let fit = 1;
      while (fit < letters.length && widthOf(line) + widthOf(letters.slice(0, fit + 1).join('')) <= room())
        fit++;
      lines.push(line + letters.slice(0, fit).join(''));
      line = '';
      word = letters.slice(fit).join('');
    }
    line += word;
  }
  return [...lines, line.trimEnd()].filter((one, at) => one !== '' || at === 0);
}

/** In columns: letters of East Asia and signs beyond take two. */
function widthOf(text: string): number {
  let width = 0;
  for (const letter of text)
    width += (letter.codePointAt(0) ?? 0) >= 0x1100 && !/[\u2000-\u2fff]/.test(letter) ? 2 : 1;
  return width;
}

function linkText({ name, kind, up, mtu, addresses, gateways }: PictureLink): string {
  return [
    name,
    ...(kind === '' ? [] : [`(${kind})`]),
    ...(up ? [] : ['down']),
    ...addresses,
    ...gateways.map((hop) => `gateway ${hop}`),
    `mtu ${mtu}`,
  ].join(' ');
}

function groupBranch(group: Group, look: Look): Branch {
  const { title, link, masquerade, strangers, cards } = group;
  const line = [
    withoutControls(title),
    ...(link === undefined ? [] : [...(link.up ? [] : ['down']), ...link.addresses, `mtu ${link.mtu}`]),
    ...(masquerade ? ['masqueraded'] : []),
    cards.length === 0 ? 'nobody attached' : `${cards.length} attached`,
  ].join(' ');
  const below = cards.length < many ? cards.map(cardBranch) : tableOf(cards, look.width - 6);
  const other = strangers.length === 0 ? [] : [{ line: `other ports: ${strangers.join(', ')}`, below: [] }];
  return { line, colour: 'bold', below: [...below, ...other] };
}

function cardBranch({
  title,
  containerId,
  netns,
  state,
  interfaces,
  ports,
  limits,
  elsewhere,
  problems,
}: Card): Branch {
  const both = limitTexts(limits);
  const leaf = (line: string, colour?: Colour): Branch => ({
    line: withoutControls(line),
    colour,
    below: [],
  });
  return {
    line: withoutControls(
      `${mark(problems, state)} ${title}${title === containerId || containerId === '' ? '' : ` ${containerId}`}`,
    ),
    below: [
      ...interfaces.map(({ name, network, addresses, remembered, hostLink }) =>
        leaf(
          [
            name,
            ...(network === '' ? [] : [network]),
            addresses.join(' ') || 'no address',
            ...(remembered && addresses.length > 0 ? ['(remembered)'] : []),
            ...(hostLink === '' ? [] : [`⇄ ${hostLink}`]),
          ].join(' '),
        ),
      ),
      ...(ports.length === 0 ? [] : [leaf(`ports ${ports.join(', ')}`)]),
      ...(both.length === 0 ? [] : [leaf(`limits ${both.join(' ')}`)]),
      ...(elsewhere.length === 0 ? [] : [leaf(`also ${elsewhere.join(', ')}`, 'dim')]),
      ...problems.map((one) => leaf(`✗ ${one}`, 'red')),
      leaf(netns || 'its namespace is not known', 'dim'),
    ],
  };
}

function mark(problems: readonly string[], state: Card['state']): string {
  if (problems.length > 0) return '✗';
  return state === 'lives' ? '●' : '○';
}

/** A line for each: name and interface in columns, then what differs most. */
function tableOf(cards: readonly Card[], width: number): Branch[] {
  const rows = cards.map((card) => {
    const [first] = card.interfaces;
    return {
      problems: card.problems,
      name: withoutControls(`${mark(card.problems, card.state)} ${card.title}`),
      ifname: withoutControls(card.interfaces.map(({ name }) => name).join(',')),
      address: first?.addresses[0] ?? '',
      rest: withoutControls(
        [
          ...card.interfaces.flatMap(({ addresses }, at) => addresses.slice(at === 0 ? 1 : 0)),
          ...card.ports.map((port) => port.replaceAll(' ', '')),
          ...limitTexts(card.limits).map((one) => one.replaceAll(' ', '')),
          ...card.elsewhere.map((one) => `also ${one}`),
          ...card.problems,
        ].join(' '),
      ),
    };
  });
  const column = (most: number, pick: (row: (typeof rows)[number]) => string) =>
    Math.min(most, Math.max(...rows.map((row) => widthOf(pick(row)))));
  const name = column(Math.max(12, Math.floor(width / 2.5)), (row) => row.name);
  const ifname = column(15, (row) => row.ifname);
  const address = column(18, (row) => row.address);
  return rows.map((row) => ({
    line: `${padded(short(row.name, name), name)} ${padded(row.ifname, ifname)} ${padded(row.address, address)} ${row.rest}`.trimEnd(),
    colour: row.problems.length > 0 ? ('red' as const) : undefined,
    below: [],
  }));
}

function padded(text: string, width: number): string {
  return text + '\u00a0'.repeat(Math.max(0, width - widthOf(text)));
}

function short(text: string, width: number): string {
  const letters = [...text];
  return letters.length <= width
    ? text
    : `${letters.slice(0, width - 6).join('')}…${letters.slice(-5).join('')}`;
}
