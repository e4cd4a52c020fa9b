/** What the tool tells about itself. */
import { flagsOf, type Option } from './command-line.ts';
import { commonOptions, environment, helpOption, versionOption } from './common-options.ts';
import type { Verb } from './verb.ts';
import { verbNamed, verbs } from './verbs.ts';

/** How to call the tool, or one of its commands. */
export function usageOf(name?: string): string {
  const verb = verbNamed(name);
  return name === undefined || verb === undefined ? toolUsage() : verbUsage(name, verb);
}

/** All that is told to who asks. */
export function helpOf(name?: string): string {
  return name === undefined
    ? `${usageOf()}\n${tableOf('Environment', environment)}`
    : usageOf(name) + examplesOf(verbNamed(name));
}

function examplesOf(verb: Verb | undefined): string {
  const examples = verb?.examples ?? [];
  const lines = examples.map(({ call, about }) => `  # ${about}\n  ${call}\n`);
  return lines.length === 0 ? '' : `\nExamples:\n${lines.join('')}`;
}

function toolUsage(): string {
  const commands = Object.entries(verbs)
    .filter(([, { hidden }]) => hidden !== true)
    .map(([name, verb]): Row => [callOf(name, verb), verb.about]);
  return page('[options] [command]', 'Attach network namespaces to CNI networks by hand', {
    Options: [...commonOptions, versionOption, helpOption].map(rowOf),
    Commands: [...commands, ['help [command]', helpOption.about]],
  });
}

function verbUsage(name: string, verb: Verb): string {
  return page([name, '[options]', ...places(verb)].join(' '), verb.about, {
    Options: [...(verb.options ?? []), helpOption].map(rowOf),
    'Global Options': commonOptions.map(rowOf),
  });
}

/** `gc [options] [network] [netns]` */
export function callOf(name: string, verb: Verb): string {
  return [name, ...(verb.options ? ['[options]'] : []), ...places(verb)].join(' ');
}

/** In brackets: how many there must be is told by the reference tool's words, not by the usage text. */
function places({ needs, takes }: Verb): string[] {
  return [...needs.map((need) => `[${need}]`), ...(takes ? [`[${takes}...]`] : [])];
}

type Row = readonly [term: string, about: string];

function rowOf(option: Option): Row {
  return [flagsOf(option), option.about];
}

const columns = 80;

function page(call: string, about: string, tables: Readonly<Record<string, readonly Row[]>>): string {
  const width = Math.max(...Object.values(tables).flatMap((rows) => rows.map(([term]) => term.length)));
  const told = Object.entries(tables).map(([title, rows]) => tableOf(title, rows, width));
  return [`Usage: cnitool ${call}\n`, `${wrap(about, columns).join('\n')}\n`, ...told].join('\n');
}

function tableOf(
  title: string,
  rows: readonly Row[],
  width = Math.max(...rows.map(([term]) => term.length)),
): string {
  const lines = rows.map(([term, text]) => {
    const start = `  ${term.padEnd(width)}  `;
    return start + wrap(text, columns - start.length).join(`\n${' '.repeat(start.length)}`);
  });
  return `${title}:\n${lines.join('\n')}\n`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line];
}
