/** The page as a browser draws it: that its texts do not meet there either, that names stay names, that searching works. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freshHost } from '@cni-ts/testing/namespaces';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { layOutWhole } from './layout.ts';
import { pageText } from './page.ts';
import { pictureOf } from './picture.ts';
import { oddNode, sampleNode } from './samples.ts';
import type { Seen } from './seen.ts';
import { svgText } from './svg.ts';

const chromium = '/usr/bin/chromium';
const hasBrowser = existsSync(chromium);
if (!hasBrowser) process.stderr.write(`skipped: ${chromium} is not there (apt-get install chromium)\n`);

const folder = mkdtempSync(join(tmpdir(), 'cni-browser-'));
// It is to ask for nothing, and where it does there is nobody.
beforeAll(() => freshHost());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const limit = 120_000;

/** Runs the browser on this text; what it prints. */
function browse(text: string, extension: 'html' | 'svg', ...options: string[]): string {
  const file = join(folder, `page.${extension}`);
  writeFileSync(file, text);
  const quiet = [
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
  ];
  const own = [
    '--headless',
    '--no-sandbox',
    '--disable-dev-shm-usage',
    `--user-data-dir=${join(folder, 'profile')}`,
  ];
  const { status, stdout, stderr } = spawnSync(chromium, [...own, ...quiet, ...options, `file://${file}`], {
    encoding: 'utf8',
    timeout: limit,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`chromium ended with ${status}: ${stderr.slice(-2000)}`);
  return stdout;
}

interface Measured {
  readonly texts: number;
  readonly meeting: readonly string[];
  readonly outside: readonly string[];
  readonly scripts: number;
  readonly images: number;
  readonly found: string;
  readonly faded: number;
  readonly hiddenRows: number;
  readonly lit: number;
}

/** Measures what was drawn, then searches for a word and points at a card. It knows nothing of how it was laid out. */
const measuring = (word: string) => `<script>addEventListener('load', () => {
  const texts = [...document.querySelectorAll('svg text')];
  const boxes = texts.map((one) => [one.textContent, one.getBoundingClientRect()]);
  const svg = document.querySelector('svg').getBoundingClientRect();
  const meeting = [], outside = [];
  boxes.sort((a, b) => a[1].top - b[1].top);
  boxes.forEach(([text, box], at) => {
    if (box.left < svg.left || box.right > svg.right || box.top < svg.top || box.bottom > svg.bottom) outside.push(text);
    for (let next = at + 1; next < boxes.length && boxes[next][1].top < box.bottom - 0.5; next++) {
      const other = boxes[next][1];
      if (box.left < other.right - 0.5 && other.left < box.right - 0.5) meeting.push(text + ' × ' + boxes[next][0]);
    }
  });
  for (const card of document.querySelectorAll('.one')) {
    const edge = card.querySelector('rect.card').getBoundingClientRect();
    for (const text of card.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      if (box.left < edge.left || box.right > edge.right || box.bottom > edge.bottom + 0.5) outside.push('card: ' + text.textContent);
    }
  }
  const search = document.getElementById('search');
  search.value = ${JSON.stringify(word)};
  search.dispatchEvent(new Event('input'));
  document.querySelector('.one:not(.faded)')?.dispatchEvent(new Event('mouseenter'));
  const count = (what) => document.querySelectorAll(what).length;
  const told = { texts: texts.length, meeting, outside, scripts: count('script') - 1, images: count('img'),
    found: document.getElementById('found').textContent, faded: count('.faded'), hiddenRows: count('tbody tr[hidden]'), lit: count('.lit') };
  document.title = 'measured ' + btoa(unescape(encodeURIComponent(JSON.stringify(told))));
});</script>`;

function measured(seen: Seen, word = ''): Measured {
  const page = pageText(pictureOf(seen)).replace('</body>', `${measuring(word)}</body>`);
  const dom = browse(page, 'html', '--dump-dom', '--window-size=1500,1000');
  const [, told = ''] = /<title>measured ([^<]+)<\/title>/.exec(dom) ?? [];
  return JSON.parse(Buffer.from(told, 'base64').toString('utf8'));
}

const nodes: readonly (readonly [string, Seen])[] = [
  ...[0, 1, 3, 30, 100].map((count) => [`${count} containers`, sampleNode(count)] as const),
  ['long and odd names', oddNode()],
];

test.skipIf(!hasBrowser).each(nodes)(
  'of %s no text meets another as it is drawn',
  { timeout: limit },
  (_, seen) => {
    const { texts, meeting, outside, scripts, images } = measured(seen);
    expect(texts).toBeGreaterThan(5);
    expect({ meeting, outside }).toEqual({ meeting: [], outside: [] });
    expect({ scripts, images }).toEqual({ scripts: 1, images: 0 });
  },
);

test.skipIf(!hasBrowser)(
  'searching fades what does not fit, and pointing lights up all of a container',
  { timeout: limit },
  () => {
    const cards = pictureOf(sampleNode(30)).groups.flatMap((one) => one.cards);
    const { found, faded, hiddenRows, lit } = measured(sampleNode(30), 'net1 192.168.77.11/24');
    expect({ found, faded, hiddenRows }).toEqual({
      found: `1 of ${cards.length}`,
      faded: cards.length - 1,
      hiddenRows: cards.length - 1,
    });
    // Its cards at the bridge and at the lower link, and the row of each.
    expect(lit).toBe(4);
  },
);

test.skipIf(!hasBrowser)(
  'a page and a drawing can be photographed, light and dark',
  { timeout: limit },
  () => {
    const picture = pictureOf(sampleNode(3));
    const photo = (text: string, extension: 'html' | 'svg') => {
      const file = join(folder, 'photo.png');
      rmSync(file, { force: true });
      browse(text, extension, `--screenshot=${file}`, '--hide-scrollbars', '--window-size=1200,900');
      return readFileSync(file);
    };
    const light = photo(pageText(picture), 'html');
    const dark = photo(pageText(picture).replace('<html ', '<html data-theme="dark" '), 'html');
    const drawing = photo(svgText(layOutWhole(picture), 'a node'), 'svg');
    for (const png of [light, dark, drawing]) {
      expect(png.subarray(1, 4).toString()).toBe('PNG');
      // An empty page, or one that says what is wrong with it, has a tenth of that.
      expect(png.length).toBeGreaterThan(30_000);
    }
    expect(light.equals(dark)).toBe(false);
  },
);
