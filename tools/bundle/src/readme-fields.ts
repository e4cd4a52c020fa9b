/** What the tables of a plugin's README say of its fields: they are written for people, and here read for editors. */

export interface FieldText {
  readonly description: string;
  /** Where the table has one that is a value. */
  readonly default?: unknown;
}

/** By name as the table has it, such as `mtu` or `ipam.routes`. Several tables may have
 *  one of the same name: rows in their order. */
export function readmeFields(readme: string): Map<string, FieldText[]> {
  const fields = new Map<string, FieldText[]>();
  let head: string[] = [];
  let isTable = false;
  for (const line of readme.split('\n')) {
    if (!line.startsWith('|')) {
      isTable = false;
      continue;
    }
    const cells = line
      .slice(1, line.lastIndexOf('|'))
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
    if (!isTable) {
      isTable = true;
      head = cells;
      continue;
    }
    const [names = '', ...rest] = cells;
    if (/^:?-+:?$/.test(names) || !/field|caller/.test(head[0] ?? '')) continue;
    const description = plain(rest.at(-1) ?? '');
    const at = head.indexOf('default');
    const value = at < 0 ? undefined : valueIn(cells[at] ?? '');
    for (const [, name = ''] of names.matchAll(/`([A-Za-z][\w.]*)`/g)) {
      const row: FieldText = { description, ...(value !== undefined && { default: value }) };
      fields.set(name, [...(fields.get(name) ?? []), row]);
    }
  }
  return fields;
}

/** A cell that is a value: in code, or a number. Words such as `none` and `kernel's` are none. */
function valueIn(cell: string): unknown {
  if (/^\d+$/.test(cell)) return Number(cell);
  const code = /^`([^`]+)`$/.exec(cell)?.[1];
  if (code === undefined) return undefined;
  if (code === 'true' || code === 'false') return code === 'true';
  return /^\d+$/.test(code) ? Number(code) : code;
}

function plain(text: string): string {
  return text.replaceAll('`', '').replaceAll('\\|', '|');
}
