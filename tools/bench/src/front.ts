/** `node tools/bench/src/front.ts`: writes docs/speed.svg, the chart of the front page, from docs/bench.json. `npm run bench
 *  -- --publish` does it, too. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { frontChart } from './front-chart.ts';
import type { Report } from './report.ts';

const docs = resolve(import.meta.dirname, '../../../docs');
// reason: written by `npm run bench -- --publish`
const report = JSON.parse(readFileSync(join(docs, 'bench.json'), 'utf8')) as Report;
writeFileSync(join(docs, 'speed.svg'), frontChart(report));
