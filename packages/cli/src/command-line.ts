/**
 * Reading the tool's command line. Options stand anywhere after what they belong to: the tool itself, or the command
 * that is the first word. The small libraries for this take `--keep a b` for one value, and do not tell that one is
 * missing.
 */

export interface Option {
  /** `--‹name›`. */
  readonly name: string;
  /** A dash and a letter. */
  readonly short?: string;
  /** What stands for its value in the usage text; absent when it has none. */
  readonly value?: string;
  /** Takes every word up to the next option, and may be given more than once. */
  readonly many?: boolean;
  readonly about: string;
}

export interface CommandLine {
  /** All that is no option. */
  readonly words: readonly string[];
  /** The values of each option that was given, by its name; '' for one that takes none. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  /** The first thing that is wrong, as a sentence. What comes after it has been read all the same. */
  readonly problem: string | undefined;
}

/** `optionsOf` tells the options of a command, those that all have included; without a name, those before it. */
export function readCommandLine(
  argv: readonly string[],
  optionsOf: (command: string | undefined) => readonly Option[],
): CommandLine {
  const words: string[] = [];
  const options = new Map<string, string[]>();
  let problem: string | undefined;
  let open: Option | undefined;
  const give = ({ name }: Option, value: string) => options.set(name, [...(options.get(name) ?? []), value]);
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '--') {
      words.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      if (open) give(open, word);
      else words.push(word);
      continue;
    }
    open = undefined;
    const found = find(word, optionsOf(words[0]));
    if (!found) {
      problem ??= `unknown option '${word}'`;
      continue;
    }
    const { option, attached } = found;
    const value = option.value === undefined ? '' : (attached ?? argv[++at]);
    if (value === undefined) problem ??= `option '${flagsOf(option)}' argument missing`;
    else give(option, value);
    if (option.many && attached === undefined) open = option;
  }
  return { words, options, problem };
}

/** The option a word stands for, and the value in the same word: `--ifname=eth1`, `-ieth1`. */
function find(word: string, known: readonly Option[]): { option: Option; attached?: string } | undefined {
  for (const option of known) {
    const { name, short, value } = option;
    if (word === `--${name}` || word === short) return { option };
    if (value === undefined) continue;
    for (const start of [`--${name}=`, ...(short ? [short] : [])]) {
      if (word.startsWith(start)) return { option, attached: word.slice(start.length) };
    }
  }
  return undefined;
}

/** As the usage text has it: `-i, --ifname <name>`. */
export function flagsOf({ name, short, value, many }: Option): string {
  const flags = short ? `${short}, --${name}` : `--${name}`;
  return value === undefined ? flags : `${flags} <${value}${many ? '...' : ''}>`;
}
