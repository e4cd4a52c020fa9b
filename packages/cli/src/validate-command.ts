/** `cnitool validate`: which files, how they are looked at, and what is told of them. */
import { readBytes, readToEnd, textOf } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { byBytes } from '@cni-ts/libcni/byte-order';
import { configFiles } from '@cni-ts/libcni/config-files';
import { encodeSorted } from '@cni-ts/libcni/json';
import { pluginConfigFrom } from '@cni-ts/libcni/plugin-config';
import { errorText } from '@cni-ts/spec/cni-error';
import { mostConfiguration, mostMebibytes } from '@cni-ts/spec/most-configuration';
import { networkNamed } from './network-named.ts';
import { configDir } from './settings.ts';
import type { ConfigDocument, Json } from './validate/document.ts';
import { nameOf } from './validate/file-rules.ts';
import { type Finding, note as noteOf } from './validate/finding.ts';
import { thisNode } from './validate/node.ts';
import type { Node } from './validate/node-rules.ts';
import { findingText, reportJson, reportText } from './validate/report.ts';
import { Source } from './validate/source.ts';
import { type Outcome, type Surroundings, validate, type Weight } from './validate/validate.ts';
import { CannotLookError, type Verb, type VerbCall } from './verb.ts';

export const validateCommand: Verb = {
  about:
    'Check configurations, without one those of this node: files, a folder, - for stdin, or a network by its name',
  examples: [
    {
      call: 'cnitool validate',
      about: 'the configurations of this node',
    },
    {
      call: 'cnitool validate 10-web.conflist',
      about: 'a file, before it is put into place',
    },
    {
      call: 'cnitool validate web',
      about: 'the files of one network, and its plugins',
    },
    {
      call: 'kubectl get net-attach-def -A -o yaml | cnitool validate -',
      about: 'what Multus would hand out',
    },
  ],
  needs: [],
  takes: 'files',
  options: [
    { name: 'json', about: 'print findings as JSON (dist/schemas/cnitool-validate.json)' },
    { name: 'node', about: 'what this node lacks counts, also for files that are not of its folder' },
    { name: 'offline', about: 'do not look at links and plugins of this node' },
  ],
  async run(call) {
    const [only] = call.args;
    if (call.args.length === 1 && only !== undefined && isNetworkName(only)) return ofNetwork(only, call);
    const asked = sourcesOf(call.args.length === 0 ? [configDir(call.env)] : call.args);
    if (asked.sources.length === 0 && asked.findings.every(({ level }) => level === 'note')) {
      throw new CannotLookError(`there is no configuration in ${call.args[0] ?? configDir(call.env)}`);
    }
    const outcome = await validate(asked.sources, surroundings(asked, call));
    const all = { ...outcome, findings: [...asked.findings, ...outcome.findings] };
    if (isBad(all.findings)) call.ends(1);
    const files = asked.sources.map(({ file }) => file);
    if (call.options('json') !== undefined) return reportJson(all, files);
    return reportText(all, files.length, asked.isFolder);
  },
};

/** What is found in the node's own folder, as `validate` without arguments looks at it. */
export async function nodeFindings(call: VerbCall): Promise<{ findings: readonly Finding[]; files: number }> {
  const asked = sourcesOf([configDir(call.env)]);
  const { findings } = await validate(asked.sources, surroundings(asked, call));
  return { findings: [...asked.findings, ...findings], files: asked.sources.length };
}

function isBad(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level !== 'note');
}

/** What is neither there as a file nor looks like one. */
function isNetworkName(word: string): boolean {
  return (
    word !== '-' &&
    !word.includes('/') &&
    !/\.(conflist|conf|json|ya?ml)$/.test(word) &&
    tryStat(word) === undefined
  );
}

interface Asked {
  readonly sources: readonly Source[];
  /** What could not be read of a folder. */
  readonly findings: readonly Finding[];
  readonly isFolder: boolean;
  /** Where the files are. */
  readonly paths: ReadonlyMap<Source, string>;
}

function sourcesOf(words: readonly string[]): Asked {
  const paths = new Map<Source, string>();
  const findings: Finding[] = [];
  let isFolder = false;
  for (const word of words) {
    const stat = word === '-' ? undefined : tryStat(word);
    if (word !== '-' && stat === undefined)
      throw new CannotLookError(`${word}: there is no such file or folder`);
    if (stat === undefined || !stat.isFolder) {
      const source = new Source(word, textIn(word));
      paths.set(source, word);
      continue;
    }
    isFolder = true;
    for (const name of filesIn(word)) {
      const path = `${word.replace(/\/+$/, '')}/${name}`;
      if (tryStat(path)?.isFolder) continue;
      if (!/\.(conflist|conf|json|ya?ml)$/.test(name)) {
        findings.push(
          fileNote(name, 'no runtime reads it: configurations end with .conflist, .conf or .json'),
        );
        continue;
      }
      try {
        paths.set(new Source(name, textOf(bytesOf(path))), path);
      } catch (error) {
        findings.push({ ...fileNote(name, errorText(error)), code: 'CNI4004', level: 'error' });
      }
    }
  }
  return { sources: [...paths.keys()], findings, isFolder, paths };
}

function fileNote(file: string, message: string): Finding {
  const { code, level } = noteOf('CNI1041', [], message);
  return { file, line: 1, column: 1, width: 1, pointer: '', code, level, message, text: '' };
}

function filesIn(folder: string): string[] {
  try {
    return listFolder(folder).sort(byBytes);
  } catch (error) {
    throw new CannotLookError(errorText(error));
  }
}

function textIn(word: string): string {
  try {
    return textOf(bytesOf(word));
  } catch (error) {
    throw new CannotLookError(errorText(error));
  }
}

/** `-` is standard input. No more than a plugin takes. */
function bytesOf(path: string): Uint8Array {
  try {
    return path === '-'
      ? readToEnd(0, 'standard input', 8192, mostConfiguration)
      : readBytes(path, mostConfiguration);
  } catch (error) {
    if (errnoOf(error) !== 'EFBIG') throw error;
    const what = path === '-' ? 'standard input' : path;
    throw new Error(`${what} has more than ${mostMebibytes} MiB, and no plugin takes that much`, {
      cause: error,
    });
  }
}

/** What stands in the node's own folder is meant for this node. */
function surroundings({ isFolder, paths }: Asked, call: VerbCall): Surroundings {
  const { env, options, runtime, plugin, note } = call;
  const own = `${configDir(env).replace(/\/+$/, '')}/`;
  const isOwn = isFolder || [...paths.values()].every((path) => path.startsWith(own));
  const offline = options('offline') !== undefined;
  const counts = isOwn || options('node') !== undefined;
  const weight = (isMeant: boolean): Weight =>
    offline ? 'is not looked at' : isMeant ? 'counts' : 'is told';
  return {
    plugin,
    ask: (type, network, version, json) =>
      offline ? Promise.resolve(undefined) : asked(call, type, { network, version, json }),
    node: offline ? undefined : nodeOrNot(note),
    links: weight(counts),
    // Whoever says where plugins are means those.
    programs: weight(counts || Boolean(env.CNI_PATH)),
    executables: {
      find: (type) => runtime.programOf(type),
      versions: (type) => runtime.getVersionInfo(type),
    },
    isFolder,
    hasPluginsBeside: (document) => hasPluginsBeside(document, paths.get(document.source) ?? ''),
  };
}

/** An executable that is not of this program may be one of ours in another build, or another's that knows VALIDATE. */
async function asked(
  { runtime }: VerbCall,
  type: string,
  { network, version, json }: { network: string; version: string; json: Json },
): Promise<unknown> {
  if (runtime.programOf(type) === undefined) return undefined;
  try {
    const config = pluginConfigFrom(json, new TextEncoder().encode(encodeSorted(json)));
    return await runtime.findingsOf({ name: network, cniVersion: version }, config);
  } catch {
    return undefined; // it is no plugin's configuration, which is told where that is seen
  }
}

function nodeOrNot(note: (line: string) => void): Node | undefined {
  try {
    return thisNode();
  } catch (error) {
    note(`links of this node were not looked at: ${errorText(error)}`);
    return undefined;
  }
}

/** As libcni looks for them: `*.conf` in the folder of the network's name beside the file. */
function hasPluginsBeside(document: ConfigDocument, path: string): boolean {
  const name = nameOf(document);
  const at = path.lastIndexOf('/');
  if (name === '' || name.includes('/') || document.json.loadOnlyInlinedPlugins === true) return false;
  try {
    return configFiles(`${at < 0 ? '.' : path.slice(0, at)}/${name}`, ['.conf']).length > 0;
  } catch {
    return false; // no folder
  }
}

/** The files of one network, and whether its plugins are there and speak its version, as ADD would find them. */
async function ofNetwork(name: string, call: VerbCall): Promise<string> {
  const list = networkNamed(name, call);
  const folder = sourcesOf([configDir(call.env)]);
  const outcome = await validate(folder.sources, surroundings(folder, call));
  const own = new Set(
    outcome.documents.filter((one) => nameOf(one) === name).map(({ source }) => source.file),
  );
  const findings = outcome.findings.filter(({ file }) => own.has(file));
  const isJson = call.options('json') !== undefined;
  const found: Outcome = { ...outcome, findings };
  if (isBad(findings)) call.ends(1);
  if (isJson) return reportJson(found, [...own]);
  for (const one of findings) call.say(findingText(one).trimEnd());
  const capabilities = await call.runtime.validateNetworkList(list);
  const types = list.plugins.map(({ type }) => type).join(', ');
  const version = list.cniVersion || '0.1.0';
  return `network ${list.name}: version ${version}, plugins ${types}, capabilities ${capabilities.join(', ') || 'none'}\n`;
}
