/** What the picture shows, that its texts never meet, and that names cannot break out of it. Nothing is looked at. */
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { describe, expect, test } from 'vitest';
import type { Layout, TextBox } from './drawing.ts';
import { layOut, layOutWhole } from './layout.ts';
import { pageText } from './page.ts';
import { type Picture, pictureOf } from './picture.ts';
import { oddNode, sampleNode } from './samples.ts';
import type { Seen } from './seen.ts';
import { svgText } from './svg.ts';
import { terminalText } from './terminal.ts';

const nodes: readonly (readonly [string, Seen])[] = [
  ...[0, 1, 3, 30, 100].map((count) => [`${count} containers`, sampleNode(count)] as const),
  ['long and odd names', oddNode()],
  ['nothing at all', { node: '', links: [], gateways: [], attachments: [], namespaces: [] }],
];

describe('the layout', () => {
  test.each(nodes)('of %s lets no text meet another, and keeps all of it on the paper', (_, seen) => {
    for (const width of [640, 1000, 1440, 2400]) {
      const layout = layOut(pictureOf(seen), width);
      const texts = textsOf(layout);
      expect(meeting(texts)).toEqual([]);
      expect(texts.filter((one) => isOutside(one, layout))).toEqual([]);
      expect(layout.width).toBeLessThanOrEqual(Math.max(width, 640));
    }
  });

  test.each(nodes)('of %s lets no card meet another, and keeps the texts of a card within it', (_, seen) => {
    const { cards } = layOut(pictureOf(seen));
    expect(meeting(cards)).toEqual([]);
    for (const card of cards) {
      expect(
        card.texts.filter((text) => isOutside({ ...text, x: text.x - card.x, y: text.y - card.y }, card)),
      ).toEqual([]);
    }
  });

  test('shows every address in full, though it take two lines', () => {
    const shown = textsOf(layOut(pictureOf(oddNode()))).map(({ text }) => text);
    expect(shown.join('')).toContain('203.0.113.254/32');
    const { cards } = layOut(pictureOf(oddNode()), 640);
    const [card] = cards;
    expect(card?.texts.map(({ text }) => text).join('')).toContain(
      'fd12:3456:789a:bcde:1234:5678:9abc:def0/128',
    );
  });

  test('of a hundred containers is wider than high', () => {
    const { width, height } = layOutWhole(pictureOf(sampleNode(100)));
    expect(width).toBeGreaterThan(height);
  });
});

test('that texts meet would be seen', () => {
  const box: TextBox = { x: 0, y: 0, width: 10, height: 10, text: 'a', size: 9, mono: false, role: 'dim' };
  expect(meeting([box, { ...box, x: 9 }])).toHaveLength(1);
  expect(meeting([box, { ...box, x: 10 }])).toEqual([]);
});

describe('the picture', () => {
  test('has each container at what carries it, with interface, addresses, host link, ports and limits', () => {
    const { groups, uplinks, networks, problems } = pictureOf(sampleNode(3));
    expect(groups.map(({ title, cards }) => [title, cards.length])).toEqual([
      ['bridge cni0', 3],
      ['macvlan on enp4s0, mode bridge', 1],
      ['bridge docker0', 0],
    ]);
    expect(groups[0]).toMatchObject({
      masquerade: true,
      link: { addresses: ['10.22.0.1/16', 'fd00:22::1/64'], mtu: 1500 },
    });
    const checkout = groups[0]?.cards.find(({ title }) => title === 'shop/checkout-1');
    expect(checkout).toMatchObject({
      state: 'lives',
      limits: { toContainer: 20e6, fromContainer: 5e6 },
      elsewhere: ['net1 storage'],
      problems: [],
    });
    expect(checkout?.interfaces).toMatchObject([
      { name: 'eth0', network: 'web', addresses: ['10.22.0.6/16', 'fd00:22::6/64'] },
    ]);
    expect(groups[0]?.cards.find(({ title }) => title === 'shop/cart-0')?.ports).toEqual([
      '8080/tcp → 80',
      '9443/tcp → 443',
    ]);
    expect(uplinks).toMatchObject([{ name: 'enp3s0', gateways: ['192.168.20.1', 'fe80::1'] }]);
    expect(networks.map(({ name, attachments }) => [name, attachments])).toEqual([
      ['storage', 1],
      ['web', 3],
    ]);
    expect(problems).toBe(0);
  });

  test('tells what is wrong: a namespace that is gone, an interface that is down, missing, or without its address', () => {
    const seen = sampleNode(7);
    const broken = (at: number, change: (links: Seen['links']) => Seen['links']) => {
      const namespaces = seen.namespaces.map((one, index) =>
        index === at ? { ...one, links: change(one.links) } : one,
      );
      return problemsOf({ ...seen, namespaces });
    };
    expect(new Set(problemsOf(seen))).toEqual(new Set(['its namespace is gone']));
    expect(pictureOf(seen).problems).toBe(1);
    expect(broken(0, () => [])).toContain('eth0 is not there');
    expect(broken(0, (links) => links.map((one) => ({ ...one, up: false })))).toContain('eth0 is down');
    expect(broken(0, (links) => links.map((one) => ({ ...one, addresses: [] })))).toContain(
      'eth0 has lost 10.22.0.5/16',
    );
  });

  test('takes no link for a host end that does not point back', () => {
    const seen = sampleNode(1);
    const links = seen.links.map((one) => (one.kind === 'veth' ? { ...one, lower: 77, alias: '' } : one));
    expect(
      pictureOf({ ...seen, links }).groups.flatMap(({ cards }) => cards)[0]?.interfaces[0]?.hostLink,
    ).toBe('');
  });

  test('knows a host end by its mark, also of a container whose ID is too long for it', () => {
    const seen = sampleNode(1);
    const containerId = 'long'.repeat(30);
    const alias = linkOwner({ network: 'web', containerId, ifname: 'eth0' }, 'bridge');
    const links = seen.links.map((one) => (one.kind === 'veth' ? { ...one, lower: 77, alias } : one));
    const attachments = seen.attachments.map((one) => ({ ...one, containerId }));
    const [card] = pictureOf({ ...seen, links, attachments }).groups.flatMap(({ cards }) => cards);
    expect(card?.interfaces[0]?.hostLink).toBe(links.find(({ kind }) => kind === 'veth')?.name);
  });

  test('shows namespaces that CNI has not attached, apart', () => {
    const seen = sampleNode(1);
    const path = '/run/netns/somebody';
    const links = [{ ...(seen.links[1] ?? never()), name: 'eth0', addresses: ['10.9.9.9/24'] }];
    const picture = pictureOf({ ...seen, namespaces: [...seen.namespaces, { path, state: 'lives', links }] });
    expect(picture.groups.at(-1)).toMatchObject({
      kind: 'foreign',
      cards: [{ title: 'somebody', containerId: '' }],
    });
  });
});

describe('names of others', () => {
  test('cannot become markup', () => {
    const picture = pictureOf(oddNode());
    for (const text of [svgText(layOut(picture), picture.node), pageText(picture)]) {
      expect(text).not.toMatch(/<img|<b>|alert\(1\)<\/script>/);
      expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
      expect(text.match(/<script/g)?.length ?? 0).toBe(text.startsWith('<!doctype') ? 1 : 0);
      expect(text).not.toMatch(/\p{Cc}(?<!\n)/u);
    }
  });

  test('cannot steer a terminal', () => {
    expect(terminalText(pictureOf(oddNode()), { width: 100, colour: false })).not.toContain('\u001b');
  });
});

test('the page asks for nothing from elsewhere', () => {
  const page = pageText(pictureOf(sampleNode(30)));
  expect(page.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|src=|@import|url\(|<link/);
});

const tree = `\
worker-3
├─ uplink enp3s0 192.168.20.14/24 2001:db8:20::14/64 gateway 192.168.20.1
│    gateway fe80::1 mtu 1500
├─ bridge cni0 10.22.0.1/16 fd00:22::1/64 mtu 1500 masqueraded 2 attached
│  ├─ ● shop/cart-0
│  │  │ aa418937c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12
│  │  ├─ eth0 web 10.22.0.5/16 fd00:22::5/64 ⇄ vethaa418937
│  │  ├─ ports 8080/tcp → 80, 9443/tcp → 443
│  │  └─ /run/netns/cni-aa418937
│  └─ ● shop/checkout-1
│     │ aa41a826c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12
│     ├─ eth0 web 10.22.0.6/16 fd00:22::6/64 ⇄ vethaa41a826
│     ├─ limits ↓ 20 Mbit/s ↑ 5 Mbit/s
│     ├─ also net1 storage
│     └─ /run/netns/cni-aa41a826
├─ macvlan on enp4s0, mode bridge mtu 1500 1 attached
│  └─ ● shop/checkout-1
│     │ aa41a826c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12c0ffee12
│     ├─ net1 storage 192.168.77.11/24 ⇄ enp4s0
│     ├─ also eth0 web
│     └─ /run/netns/cni-aa41a826
├─ bridge docker0 down 172.17.0.1/16 mtu 1500 nobody attached
└─ other links: wg0
`;

describe('for a terminal', () => {
  test('few containers are a tree', () => {
    expect(terminalText(pictureOf(sampleNode(2)), { width: 80, colour: false })).toBe(tree);
  });

  test('many are a table, a line each', () => {
    const text = terminalText(pictureOf(sampleNode(100)), { width: 120, colour: false });
    const rows = text.split('\n').filter((line) => /[●✗] (shop|monitoring)\//.test(line));
    expect(rows).toHaveLength(120);
    expect(rows[0]).toMatch(/^│ {2}├─ ● monitoring\/prometheus-2 +eth0 10\.22\.0\.7\/16 +fd00:22::7\/64$/);
  });

  test.each(nodes)('%s fit into the width', (_, seen) => {
    for (const width of [40, 80, 120]) {
      const wide = terminalText(pictureOf(seen), { width, colour: false })
        .split('\n')
        .filter((line) => [...line].length > width);
      expect(wide).toEqual([]);
    }
  });

  test('colour is there where it is asked for, and nowhere else', () => {
    const picture = pictureOf(sampleNode(3));
    expect(terminalText(picture, { width: 80, colour: true })).toContain('\u001b[1m');
    expect(terminalText(picture, { width: 80, colour: false })).not.toContain('\u001b');
  });
});

function problemsOf(seen: Seen): string[] {
  const picture: Picture = pictureOf(seen);
  return picture.groups.flatMap(({ cards }) => cards.flatMap(({ problems }) => problems));
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function textsOf({ texts, cards }: Layout): TextBox[] {
  return [...texts, ...cards.flatMap((card) => card.texts)];
}

function meeting<T extends Box>(boxes: readonly T[]): [T, T][] {
  const found: [T, T][] = [];
  const sorted = [...boxes].sort((a, b) => a.y - b.y);
  for (const [at, one] of sorted.entries()) {
    for (let next = at + 1; next < sorted.length; next++) {
      const other = sorted[next];
      if (other === undefined || other.y >= one.y + one.height) break;
      if (one.x < other.x + other.width && other.x < one.x + one.width) found.push([one, other]);
    }
  }
  return found;
}

function isOutside(
  { x, y, width, height }: Box,
  page: { readonly width: number; readonly height: number },
): boolean {
  return x < 0 || y < 0 || x + width > page.width || y + height > page.height;
}

function never(): never {
  throw new Error('the sample has that link');
}
