/** How the commands of this repository read their options, and what they say of those that they do not have. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** What a command says when it cannot do its work, and its user can do something about it: no fault of the command's. */
export class Failure extends Error {}

/** Ends a command that cannot begin because of how it was called: one sentence on stderr, exit status 2. */
export function refuse(command: string, sentence: string): never {
  process.stderr.write(`${command}: ${sentence}\n`);
  process.exit(2);
}

/** The options and other words that a command was called with. `command` is how it is called, `npm run bench`. What it
 *  does not have is refused. From here on a Failure ends the command with its message; a stack is for other errors. */
export function commandLine<T extends ParseArgsConfig>(command: string, config: T) {
  process.on('uncaughtException', (error) => {
    const said = error instanceof Failure ? `${command}: ${error.message}` : (error.stack ?? String(error));
    process.stderr.write(`${said}\n`);
    process.exit(1);
  });
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse(command, mistake(error.message, config));
  }
}

/** Node's words in one sentence, with what there is instead. */
function mistake(said: string, { options = {} }: ParseArgsConfig): string {
  // reason: what a program says to itself (`--inside`) is no option of the command
  const names = Object.keys(options).filter((name) => name !== 'inside');
  const there =
    names.length > 0 ? `what there is: ${names.map((name) => `--${name}`).join(', ')}` : 'it has none';
  const word = /'(?:-\w, )?(-{0,2}[^' ]*)[^']*'/.exec(said)?.[1] ?? '';
  if (said.startsWith('Unknown option')) return `there is no option ${word} (${there})`;
  if (said.startsWith('Unexpected argument')) return `${word} is not an option (${there})`;
  if (said.includes('argument missing') || said.includes('ambiguous'))
    return `${word} needs a value after it`;
  if (said.includes('does not take')) return `${word} takes no value`;
  return said.split('\n', 1)[0] ?? said;
}

/** One of the names that there are, or the end with a sentence that tells them. */
export function oneOf<T extends string>(command: string, what: string, word: string, names: readonly T[]): T {
  const found = names.find((name) => name === word);
  return found ?? refuse(command, `no ${what} is called ${word}: there are ${names.join(', ')}`);
}
