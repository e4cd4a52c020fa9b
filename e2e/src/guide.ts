/** What a page of docs/guides tells its reader to write and to do, as steps that can be tried. */

export type Step =
  /** Commands for a shell, and the lines that they print. */
  | {
      readonly kind: 'commands';
      readonly text: string;
      /** 1 where the page says that a command finds something. */
      readonly status: 0 | 1;
      readonly prints: readonly string[];
      /** Sets the scene for who reads; not to be seen on the page. */
      readonly hidden: boolean;
    }
  /** Commands that take what is not here: a cluster, an init system. */
  | { readonly kind: 'elsewhere'; readonly text: string }
  /** A file with a configuration, or a configuration that is only shown: without a path. */
  | { readonly kind: 'file'; readonly path: string | undefined; readonly text: string };

/**
 * The blocks of a page in their order: ```sh, and what is printed in the ```text after it, a line of which may have `…` for
 * what differs; ```sh finds for commands that end with 1; ```sh elsewhere; ```json, and behind it the file's path. A comment
 * that begins with `<!-- sh` has commands that set the scene. Throws for a block that none of these is.
 */
export function stepsOf(page: string): Step[] {
  const steps: Step[] = [];
  const blocks = /^<!-- sh\n([\s\S]*?)^-->$|^```([^\n]*)\n([\s\S]*?)^```$/gm;
  for (const [, scene, info = '', text = ''] of page.matchAll(blocks)) {
    if (scene !== undefined) {
      steps.push({ kind: 'commands', text: scene, status: 0, prints: [], hidden: true });
      continue;
    }
    const [language = '', ...more] = info.trim().split(' ');
    const last = steps.at(-1);
    if (language === 'text' && last?.kind === 'commands' && last.prints.length === 0) {
      steps[steps.length - 1] = { ...last, prints: text.trimEnd().split('\n') };
    } else if (info === 'sh' || info === 'sh finds') {
      const status = info === 'sh' ? 0 : 1;
      steps.push({ kind: 'commands', text, status, prints: [], hidden: false });
    } else if (info === 'sh elsewhere') steps.push({ kind: 'elsewhere', text });
    else if (language === 'json') steps.push({ kind: 'file', path: more[0], text });
    else if (!['picture', 'toml', 'yaml', 'ini'].includes(language)) {
      throw new Error(`a guide has a block that is marked "${info}": nobody would try what is in it`);
    }
  }
  return steps;
}

/** The lines that should be there, in this order, and are not; `…` stands for anything. */
export function missingLines(wanted: readonly string[], printed: string): string[] {
  const lines = printed.split('\n').map(spaced);
  const missing: string[] = [];
  let at = 0;
  for (const line of wanted) {
    if (line.trim() === '' || line.trim() === '…') continue;
    const pattern = new RegExp(`^${spaced(line).split('…').map(RegExp.escape).join('.*')}$`);
    const found = lines.findIndex((one, i) => i >= at && pattern.test(one));
    if (found === -1) missing.push(line);
    else at = found + 1;
  }
  return missing;
}

/** Columns are as wide as what stands in them. */
function spaced(line: string): string {
  return line.trim().replace(/\s+/g, ' ');
}

/** Which of cnitool's commands a block needs, and which options of theirs, as they stand on its lines. */
export function commandsOfTool(text: string): { name: string; options: string[] }[] {
  const calls = text
    .replaceAll('\\\n', ' ')
    .matchAll(/(?:^|[\s|(/])cnitool (?:--exec )?([a-z]+)([^\n|;&>#]*)/gm);
  return [...calls].map(([, name = '', rest = '']) => ({
    name,
    options: rest.match(/(?<= )--[a-z-]+/g) ?? [],
  }));
}

/** What is told of a network configuration: its name and all types of plugins in it, those of IPAM too. */
export function typesOf(text: string): { name: string; types: string[] } | undefined {
  const list: unknown = JSON.parse(text);
  if (typeof list !== 'object' || list === null || !('plugins' in list)) return undefined;
  const types = [...text.matchAll(/"type": *"([^"]+)"/g)].map(([, type = '']) => type);
  return { name: 'name' in list ? String(list.name) : '', types };
}
