/** What could stand where the cursor is, by the table of commands. */
import type { Option } from '../command-line.ts';
import { commonOptions, helpOption, versionOption } from '../common-options.ts';
import type { Verb } from '../verb.ts';

export interface Candidate {
  readonly word: string;
  /** Why it is offered, in a few words; '' for nothing. */
  readonly about: string;
}

export interface Candidates {
  readonly words: readonly Candidate[];
  /** Files and folders too: the shell knows them. */
  readonly files: boolean;
}

/** What this node has; each is asked only where it is needed. */
export interface Known {
  readonly verbs: Readonly<Record<string, Verb>>;
  networks(): readonly Candidate[];
  containers(): readonly Candidate[];
  /** Containers with an interface, `c1/eth0`. */
  attachments(): readonly Candidate[];
  namespaces(): readonly Candidate[];
  plugins(): readonly Candidate[];
}

/** `words`: those after the tool's name, the last of them the one that is being written. */
export function candidates(words: readonly string[], known: Known): Candidates {
  const current = words.at(-1) ?? '';
  const { command, place, open, given } = readBefore(words.slice(0, -1), known.verbs);
  const verb =
    command === undefined || !Object.hasOwn(known.verbs, command) ? undefined : known.verbs[command];
  let found: Candidates;
  if (open !== undefined && !(open.many && current.startsWith('-'))) found = byName(open.value ?? '', known);
  else if (current.startsWith('-')) found = only(optionsOf(verb, command, given));
  else if (command === undefined || (command === 'help' && place === 0)) found = only(commands(known.verbs));
  else if (place === 0 && verb?.words !== undefined)
    found = only(verb.words.map((word) => ({ word, about: '' })));
  else found = byName(verb?.needs[place] ?? verb?.takes ?? '', known);
  return {
    words: unique(found.words.filter(({ word }) => word.startsWith(current) && isPlain(word))),
    files: found.files,
  };
}

interface Before {
  readonly command: string | undefined;
  /** How many arguments stand before the word. */
  readonly place: number;
  /** The option whose value the word is. */
  readonly open: Option | undefined;
  readonly given: ReadonlySet<string>;
}

function readBefore(words: readonly string[], verbs: Known['verbs']): Before {
  let command: string | undefined;
  let place = 0;
  let open: Option | undefined;
  const given = new Set<string>();
  for (const word of words) {
    if (open !== undefined && !word.startsWith('-')) {
      if (!open.many) open = undefined;
      continue;
    }
    open = undefined;
    if (word.startsWith('-')) {
      const verb = command !== undefined && Object.hasOwn(verbs, command) ? verbs[command] : undefined;
      const option = allOptions(verb, command).find(
        ({ name, short }) => word === `--${name}` || word === short,
      );
      if (option !== undefined) given.add(option.name);
      if (option?.value !== undefined) open = option;
    } else if (command === undefined) command = word;
    else place++;
  }
  return { command, place, open, given };
}

function allOptions(verb: Verb | undefined, command: string | undefined): readonly Option[] {
  const outside = command === undefined ? [versionOption] : [];
  return [...(verb?.options ?? []), ...commonOptions, ...outside, helpOption];
}

function optionsOf(
  verb: Verb | undefined,
  command: string | undefined,
  given: ReadonlySet<string>,
): readonly Candidate[] {
  return allOptions(verb, command)
    .filter(({ name, many }) => many || !given.has(name))
    .map(({ name, about }) => ({ word: `--${name}`, about }));
}

function commands(verbs: Known['verbs']): readonly Candidate[] {
  const shown = Object.entries(verbs).filter(([, { hidden }]) => hidden !== true);
  return [
    ...shown.map(([word, { about }]) => ({ word, about })),
    { word: 'help', about: 'display help for command' },
  ];
}

/** By what an argument or a value is called in the table. */
function byName(name: string, known: Known): Candidates {
  const has = (part: string) => name.toLowerCase().includes(part);
  if (has('ifname')) return only(known.attachments());
  const words = [
    // `arguments`: those after one of the words that a command begins with.
    ...(has('network') || has('files') || has('object') || name === 'arguments' ? known.networks() : []),
    ...(has('container') || has('object') ? known.containers() : []),
    ...(has('netns') ? known.namespaces() : []),
    ...(has('plugin') || name === 'names' ? known.plugins() : []),
  ];
  return { words, files: has('file') || has('folder') || has('dir') || has('netns') };
}

export const shells = ['bash', 'zsh', 'fish'] as const;

function only(words: readonly Candidate[]): Candidates {
  return { words, files: false };
}

function unique(words: readonly Candidate[]): Candidate[] {
  return [...new Map(words.map((one) => [one.word, one])).values()];
}

/** What a shell would have to quote, or take for something else, is not offered: it is no name by the specification. */
function isPlain(word: string): boolean {
  return /^[\w./@%+=,-][\w./:@%+=,-]*$/.test(word);
}
