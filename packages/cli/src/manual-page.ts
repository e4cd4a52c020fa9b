/** cnitool(8), made of the table of commands, in the language of man(7). Nothing that the tool itself loads. */
import { flagsOf, type Option } from './command-line.ts';
import { commonOptions, environment, helpOption, versionOption } from './common-options.ts';
import { callOf } from './usage.ts';
import type { Verb } from './verb.ts';
import { verbs } from './verbs.ts';

export interface Edition {
  readonly version: string;
  /** `2026-11-30`: of the release and not of the day it is built, so that the page is the same each time. */
  readonly date: string;
}

const exitStatuses: readonly (readonly [string, string])[] = [
  ['0', 'All is well.'],
  ['1', 'It failed, or what was looked for, such as a mistake in a configuration, was found.'],
  ['2', 'How the tool was called is wrong.'],
  ['3', 'It could not look at what it was asked about.'],
];

const files: readonly (readonly [string, string])[] = [
  [
    '/etc/cni/net.d',
    'Configurations of networks; the first by name that can be loaded is what runtimes use.',
  ],
  ['/opt/cni/bin', 'Plugins.'],
  ['/var/lib/cni/results', 'What is remembered of each attachment.'],
];

/** The page's text. */
export function manualPage(
  { version, date }: Edition,
  table: Readonly<Record<string, Verb>> = verbs,
): string {
  const shown = Object.entries(table).filter(([, { hidden }]) => hidden !== true);
  return [
    '.\\" Written by npm run build from the table of commands in packages/cli. Do not edit.',
    `.TH CNITOOL 8 "${date}" "cni\\-ts ${version}" "System Administration"`,
    '.SH NAME',
    `cnitool \\- ${escaped('attach network namespaces to CNI networks, and find what is wrong with them')}`,
    '.SH SYNOPSIS',
    ...shown.map(([name, verb]) => `.B cnitool ${escaped(callOf(name, verb))}\n.br`),
    '.B cnitool help [command]',
    '.SH DESCRIPTION',
    ...paragraph(
      'cnitool calls the plugins of a network of the Container Network Interface as a runtime does, without one, and looks at what runtimes and plugins have made on this node.',
    ),
    '.SH COMMANDS',
    ...shown.flatMap(([name, verb]) => command(name, verb)),
    '.SH OPTIONS',
    'Every command has these; they may also stand before it.',
    ...[...commonOptions, versionOption, helpOption].flatMap(option),
    '.SH ENVIRONMENT',
    ...environment.flatMap(([name, about]) => tagged(name, sentence(about))),
    '.SH FILES',
    ...files.flatMap(([name, about]) => tagged(name, about)),
    '.SH EXIT STATUS',
    ...exitStatuses.flatMap(([status, about]) => tagged(status, about)),
    '.SH SEE ALSO',
    '.BR ip (8),',
    '.BR nft (8)',
    '',
  ].join('\n');
}

function command(name: string, verb: Verb): string[] {
  return [
    `.SS ${escaped(callOf(name, verb))}`,
    ...paragraph(sentence(verb.about)),
    ...(verb.options ?? []).flatMap(option),
    ...(verb.examples ?? []).flatMap(({ call, about }) => [
      '.PP',
      escaped(`${sentence(about).slice(0, -1)}:`),
      '.PP',
      '.RS 4',
      '.nf',
      escaped(call),
      '.fi',
      '.RE',
    ]),
  ];
}

function option(one: Option): string[] {
  return tagged(flagsOf(one), sentence(one.about));
}

function tagged(tag: string, about: string): string[] {
  return ['.TP', `.B ${escaped(tag)}`, ...paragraph(about)];
}

/** A line of the source may have any length, but nobody reads that. */
function paragraph(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length > 78) {
      lines.push(line);
      line = word;
    } else line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line].map(escaped);
}

function sentence(text: string): string {
  const first = /^[a-z]+[ ,:]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.?!]$/.test(first) ? first : `${first}.`;
}

/** Signs that man(7) takes for its own: the backslash, a dash that is to be copied, a dot or quote at the beginning. */
function escaped(text: string): string {
  const safe = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti');
  return /^[.']/.test(safe) ? `\\&${safe}` : safe;
}
