import { basename } from 'node:path';

/** An ES module as esbuild writes them when it splits a program. */
export interface Chunk {
  /** Of its file, as other chunks import it. */
  readonly name: string;
  readonly text: string;
}

/** A piece of the program as the engine takes it: a script, whose value is that of its last expression. */
export interface Script {
  readonly name: string;
  readonly text: string;
}

/** Which chunks of a program are what. */
export interface Parts {
  /** Evaluated before everything else. */
  readonly prelude: string;
  /** Evaluated when the program is called at the latest; if it exports `run`, that is called then. */
  readonly entry: string;
  /** Evaluated when the program is built, or else when they are needed. */
  readonly prepared: readonly string[];
}

/**
 * The chunks of one program as scripts for the engine: the first, which the program begins with, gives the engine its
 * functions `prepare` and `start`, and each other is the function of one chunk. It is read and called when something
 * of the chunk is needed for the first time, and returns what the chunk exports as a plain object.
 */
export function link(chunks: readonly Chunk[], { prelude, entry, prepared }: Parts): Script[] {
  const indices = new Map(chunks.map(({ name }, index) => [name, index + 1]));
  /** An expression: what a module exports. */
  const load = (specifier: string, by: string): string => {
    const index = indices.get(basename(specifier));
    if (index === undefined) throw new Error(`${by} needs ${specifier}, which the engine does not have`);
    return `load(${index})`;
  };
  const start = `(() => {
const loaded = [];
const load = (index) => (loaded[index] ??= engine.chunk(index)(load));
${load(prelude, 'the program')};
engine.prepare = () => {
${prepared.map((name) => `${load(name, 'the program')};\n`).join('')}};
engine.start = () => ${load(entry, 'the program')}.run?.();
})();
`;
  const own = chunks.map((chunk) => ({
    name: chunk.name,
    text: chunkFunction(chunk, (specifier) => load(specifier, chunk.name)),
  }));
  return [{ name: 'start', text: start }, ...own];
}

/** What esbuild writes at the start of a line: default, everything, or some by name, and from where. */
const importStatement =
  /^import (?:([\w$]+)(?:, | ))?(?:\* as ([\w$]+) |\{([^}]*)\} )?(?:from )?"([^"]+)";$/gm;
const exportStatement = /^export \{([^}]*)\};$/m;
const defaultExport = /^export default (.*);$/m;
const dynamicImport = /\bimport\("([^"]+)"\)/g;
/** `require` of a chunk: in an ES module esbuild reaches it through a stand-in, whose name may have been shortened. */
const requireCall = /(?<![\w$.])[\w$]+\("(\.\/[^"]+\.cjs)"\)/g;

function chunkFunction(chunk: Chunk, load: (specifier: string) => string): string {
  let exported = '';
  const body = chunk.text
    .replace(importStatement, (_, standard?: string, all?: string, some?: string, specifier = '') => {
      const from = load(specifier);
      if (all) return `const ${all} = ${from};`;
      const first = standard ? `const { default: ${standard} } = ${from};` : '';
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
  return `(function (load) {
${body}
return { ${exported} };
});
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
