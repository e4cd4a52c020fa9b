/** What the tool tells about itself. */
import { flagsOf, type Option } from './command-line.ts';
import type { Verb } from './verb.ts';
import { verbNamed, verbs } from './verbs.ts';

/** Every command has them, and they may also stand before it. */
export const commonOptions: readonly Option[] = [
  {
    name: 'ifname',
    short: '-i',
    value: 'name',
    about: 'interface inside the namespace (default: $CNI_IFNAME, then eth0)',
  },
  {
    name: 'exec',
    about: 'run every plugin as a process, also those that are part of this program ($CNITOOL_EXEC=1)',
  },
];
export const versionOption: Option = { name: 'version', about: 'print the version of the tool' };
export const helpOption: Option = { name: 'help', short: '-h', about: 'display help for command' };

/** How to call the tool, or one of its commands. */
export function usageOf(name?: string): string {
  const verb = verbNamed(name);
  return name === undefined || verb === undefined ? toolUsage() : verbUsage(name, verb);
}

/** All that is told to who asks. */
export function helpOf(name?: string): string {
  return name === undefined ? usageOf() + environment : usageOf(name);
}

const environment = `
Environment:
  NETCONFPATH    folder with network configurations (default: /etc/cni/net.d)
  CNI_PATH       folders with plugins, separated by ":" (default: the folder of
                 cnitool, then /opt/cni/bin)
  CNI_ARGS       K=V;K=V for the plugins
  CAP_ARGS       JSON object with values for the plugins' capabilities
  CNI_IFNAME     interface name when --ifname is not given
  CNI_CACHE_DIR  where attachments are remembered (default: /var/lib/cni)
  CNI_LOG        file for the steps of each call and how long they took
`;

function toolUsage(): string {
  const commands = Object.entries(verbs).map(
    ([name, verb]): Row => [
      [name, ...(verb.options ? ['[options]'] : []), ...places(verb)].join(' '),
      verb.about,
    ],
  );
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
  const told = Object.entries(tables).map(([title, rows]) => {
    const lines = rows.map(([term, text]) => {
      const start = `  ${term.padEnd(width)}  `;
      return start + wrap(text, columns - start.length).join(`\n${' '.repeat(start.length)}`);
    });
    return `${title}:\n${lines.join('\n')}\n`;
  });
  return [`Usage: cnitool ${call}\n`, `${wrap(about, columns).join('\n')}\n`, ...told].join('\n');
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
