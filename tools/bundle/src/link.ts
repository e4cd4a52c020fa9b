import { basename } from 'node:path';

/** An ES module as esbuild writes them when it splits a program. */
export interface Chunk {
  /** Of its file, as other chunks import it. */
  readonly name: string;
  readonly text: string;
}

/**
 * The chunks of one program as CommonJS files, by name: `fileOf` says which chunk goes into which (undefined: a helper
 * of esbuild's, into all), and the program starts with `entry`. A chunk becomes a function, called when something of it is needed for the first time, that
 * returns what the chunk exports as a plain object.
 *
 * Why not the CommonJS that esbuild makes of a chunk: there each export is a getter, copied by each importer into an
 * object of its own, and each chunk is a file to be found and loaded. A plugin spent a sixth of its time on that. The
 * engine does not look into a function before it is called, so chunks that nobody needs cost nothing though they are
 * in the same file.
 */
export function link(
  chunks: readonly Chunk[],
  entry: string,
  fileOf: (chunk: string) => string | undefined,
): Map<string, string> {
  const functions = new Map(chunks.map(({ name }, index) => [name, `chunk${index}`]));
  const entryFile = fileOf(entry);
  /** An expression: what a module exports, for code in `file`. */
  const load = (specifier: string, file: string): string => {
    const name = basename(specifier);
    const call = functions.get(name);
    if (call === undefined) return `require(${JSON.stringify(specifier)})`;
    const other = fileOf(name) ?? file;
    if (other === file) return `${call}()`;
    // A compiled program's first file is not among those that can be required.
    if (other === entryFile)
      throw new Error(`${file} needs ${name}, which is in ${entryFile}: put it elsewhere`);
    return `require("./${other}").${call}()`;
  };
  const files = new Map<string, string>();
  for (const file of new Set(chunks.map(({ name }) => fileOf(name)))) {
    if (file === undefined) continue;
    const own = chunks.filter(({ name }) => (fileOf(name) ?? file) === file);
    const called = own.map(({ name }) => functions.get(name) ?? '');
    const text = own.map((chunk, index) =>
      chunkFunction(chunk, called[index] ?? '', (specifier) => load(specifier, file)),
    );
    const start = file === entryFile ? `${functions.get(entry)}();\n` : '';
    files.set(file, `${text.join('')}module.exports = { ${called.join(', ')} };\n${start}`);
  }
  return files;
}

/** What esbuild writes at the start of a line: default, everything, or some by name, and from where. */
const importStatement =
  /^import (?:([\w$]+)(?:, | ))?(?:\* as ([\w$]+) |\{([^}]*)\} )?(?:from )?"([^"]+)";$/gm;
const exportStatement = /^export \{([^}]*)\};$/m;
const defaultExport = /^export default (.*);$/m;
const dynamicImport = /\bimport\("([^"]+)"\)/g;
/** `require` of CommonJS sources: in an ES module esbuild reaches it through a stand-in, for there is none. */
const requireCall = /\b__require\("([^"]+)"\)/g;

function chunkFunction(chunk: Chunk, name: string, load: (specifier: string) => string): string {
  let exported = '';
  const body = chunk.text
    .replace(importStatement, (_, standard?: string, all?: string, some?: string, specifier = '') => {
      const from = load(specifier);
      if (all) return `const ${all} = ${from};`;
      // Only modules of the engine are imported so, and those are their own default export.
      const first = standard ? `const ${standard} = ${from};` : '';
      if (some === undefined) return first || `${from};`;
      return `${first}const { ${members(some, (outer, inner) => `${outer}: ${inner}`)} } = ${from};`;
    })
    .replace(exportStatement, (_, some: string) => {
      exported = members(some, (inner, outer) => `${outer}: ${inner}`);
      return '';
    })
    .replace(defaultExport, (_, value: string) => {
      exported = `default: ${value}`;
      return '';
    })
    .replace(dynamicImport, (_, specifier: string) => `Promise.resolve().then(() => ${load(specifier)})`)
    .replace(requireCall, (_, specifier: string) => load(specifier));
  const left = /^(?:import|export)\b.*/m.exec(body)?.[0];
  if (left) throw new Error(`${chunk.name}: tools/bundle/src/link.ts does not know what to make of: ${left}`);
  return `let ${name}Exports;
function ${name}() {
if (${name}Exports) return ${name}Exports;
${body}
return ${name}Exports = { ${exported} };
}
`;
}

/** `a, b as c`, each as `write` says from the name before and after `as`. */
function members(text: string, write: (before: string, after: string) => string): string {
  return text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
    .map((member) => {
      const [before = '', after = before] = member.split(' as ');
      return before === after ? before : write(before, after);
    })
    .join(', ');
}
