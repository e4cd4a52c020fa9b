/**
 * The picture as one page that needs nothing else: no file, no address, no script of anybody's. Without JavaScript it has
 * all its facts (a card leads to its row in the table below, which is marked); with it one can search, light up what
 * belongs to a container, and choose between light and dark.
 */
import { bitsText } from './card-layout.ts';
import { layOut } from './layout.ts';
import { pageScript } from './page-script.ts';
import type { Card, CardInterface, Group, Picture } from './picture.ts';
import { escaped, svgElement, svgStyle } from './svg.ts';

export function pageText(picture: Picture): string {
  const title = `Networks of ${picture.node || 'this node'}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>
${svgStyle(':root')}
${pageStyle}
</style>
</head>
<body>
<header class="tools" hidden>
<label>Search <input id="search" type="search" placeholder="container, address, port, link" autocomplete="off"></label>
<output id="found" for="search"></output>
<button id="theme" type="button">Light or dark</button>
</header>
<main>
<div class="scroll">
${svgElement(layOut(picture), title, '', (at) => `#c${at}`)}
</div>
${table(picture)}
</main>
<script>
${pageScript}
</script>
</body>
</html>
`;
}

function table({ groups }: Picture): string {
  let at = 0;
  const rows = groups.flatMap((group) => group.cards.map((card) => row(at++, group, card)));
  if (rows.length === 0) return '';
  const heads = ['container', 'at', 'interface', 'addresses', 'host link', 'ports', 'limits', 'namespace'];
  return `<div class="scroll">
<table>
<caption>Every attachment</caption>
<thead><tr>${heads.map((one) => `<th scope="col">${one}</th>`).join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</div>`;
}

function row(at: number, group: Group, card: Card): string {
  const { limits, problems, state } = card;
  const both = [
    limits.toContainer === undefined ? '' : `↓ ${bitsText(limits.toContainer)}`,
    limits.fromContainer === undefined ? '' : `↑ ${bitsText(limits.fromContainer)}`,
  ];
  const each = (pick: (one: CardInterface) => string) => card.interfaces.map(pick);
  const name = card.title === card.containerId ? [card.title] : [card.title, card.containerId];
  const cells = [
    name,
    [group.title],
    each(({ name, network }) => `${name}${network ? ` (${network})` : ''}`),
    card.interfaces.flatMap(({ addresses }) => addresses),
    each(({ hostLink }) => hostLink),
    card.ports,
    both,
    [card.netns, state === 'unknown' ? 'not looked into' : '', ...problems.map((one) => `✗ ${one}`)],
  ];
  const told = cells.map(
    (lines) =>
      `<td>${lines
        .filter((one) => one !== '')
        .map(escaped)
        .join('<br>')}</td>`,
  );
  const mark = problems.length > 0 ? ' class="bad"' : '';
  return `<tr id="c${at}"${mark} data-container="${escaped(card.containerId || card.netns)}">${told.join('')}</tr>`;
}

const pageStyle = `
body{margin:0;background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
.tools{position:sticky;top:0;z-index:1;display:flex;gap:16px;align-items:center;padding:10px 24px;background:var(--host);border-bottom:1px solid var(--edge)}
.tools[hidden]{display:none}
input,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:5px 10px}
input{width:22em;max-width:50vw}
button{margin-left:auto;cursor:pointer}
output{color:var(--dim)}
.scroll{overflow-x:auto}
.picture{display:block;margin:0 auto}
.one{transition:opacity .15s}
a:hover rect.card,a:focus rect.card,.one.lit rect.card{stroke:var(--name);stroke-width:2.5}
a:focus{outline:none}
.faded{opacity:.18}
table{border-collapse:collapse;margin:24px;font-size:13px}
caption{text-align:left;font-weight:600;padding:6px 10px}
th,td{text-align:left;vertical-align:top;padding:6px 10px;border-bottom:1px solid var(--edge);white-space:nowrap}
td:first-child,td:nth-child(3),td:last-child{min-width:14em;max-width:26em;white-space:normal;overflow-wrap:anywhere}
th{color:var(--dim);font-weight:600}
tr.bad td:last-child{color:var(--bad)}
tr:target td,tr.lit td{background:var(--bar)}
@media print{.tools{display:none}}
`.trim();
