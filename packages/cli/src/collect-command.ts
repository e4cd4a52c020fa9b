/** `cnitool collect`: one archive of what a bug report needs, without what nobody else is to read. */
import { defaultStateFolder } from '@cni-ts/cluster/blocks-file';
import { defaultDataDir } from '@cni-ts/ipam-kit/data-dir';
import {
  closeFile,
  openFile,
  openFlags,
  removeFile,
  renameFile,
  textOf,
  writeWhole,
} from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';
import { Netns } from '@cni-ts/libc/netns';
import { runToEnd } from '@cni-ts/libc/program';
import { encodeJson, isJsonObject, parseJson, wholeNumberText } from '@cni-ts/libcni/json';
import { textMember } from '@cni-ts/skeleton/config-findings';
import { pluginVersion } from '@cni-ts/skeleton/plugin';
import { cacheDir } from '@cni-ts/spec/cache-dir';
import { errorText } from '@cni-ts/spec/cni-error';
import { toByteArray } from 'base64-js';
import { Bag } from './collect/bag.ts';
import { readFolder } from './collect/folders.ts';
import { kernelState } from './collect/kernel.ts';
import { Masker } from './collect/mask.ts';
import { programIn, rulers, rules, system, versions } from './collect/system.ts';
import { tarOf } from './collect/tar.ts';
import { configDir } from './settings.ts';
import { clusterIpam } from './validate/plugin-types.ts';
import { UsageError, type Verb, type VerbCall } from './verb.ts';

/** `verbs`: the table this is a part of; the reports of some of them come along. */
export function collecting(verbs: () => Readonly<Record<string, Verb>>): Verb {
  return {
    about:
      'Put what a bug report needs into one archive: configurations, attachments, links, rules, versions; secrets are masked',
    examples: [
      { call: 'cnitool collect', about: 'into a file of this folder, whose name is printed' },
      { call: 'cnitool collect -o /tmp/report.tar.gz', about: 'into this one' },
    ],
    needs: [],
    options: [
      {
        name: 'output',
        short: '-o',
        value: 'file',
        about: 'the archive, which is not there yet; one that ends with .gz or .tgz is compressed by gzip',
      },
    ],
    async run(call) {
      const time = new Date();
      const stamp = time.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
      const file = call.options('output')?.at(-1) ?? `cnitool-report-${stamp}.tar${gzip() ? '.gz' : ''}`;
      const target = openTarget(file);
      try {
        const bag = await collect(call, verbs());
        const about = { cnitool: pluginVersion, time: time.toISOString() };
        const members = bag.members(about, `cnitool-report-${stamp}`);
        target.write(tarOf(members, Math.floor(time.getTime() / 1000)));
        const count = bag.masker.found.length;
        call.note(
          `look into it before you hand it on: ${count} value${count === 1 ? ' was' : 's were'} masked, manifest.json says where`,
        );
      } catch (error) {
        target.giveUp();
        throw error;
      }
      return `${file}\n`;
    },
  };
}

interface Target {
  write(bytes: Uint8Array): void;
  giveUp(): void;
}

function gzip(): string | undefined {
  return programIn(['gzip']);
}

/** Opened before anything is looked at, for us alone to read, and never over what is there. */
function openTarget(file: string): Target {
  const isCompressed = /\.(gz|tgz)$/.test(file);
  const program = gzip();
  if (isCompressed && program === undefined) throw new UsageError(`${file}: gzip is not there; name it .tar`);
  if (tryStat(file) !== undefined) throw new UsageError(`${file} is there already: name another file`);
  const path = isCompressed ? `${file}.part` : file;
  const fd = openFile(path, openFlags.writeOnly | openFlags.create | openFlags.exclusive, 0o600);
  return {
    write(bytes) {
      writeWhole(fd, bytes, path);
      closeFile(fd);
      if (!isCompressed || program === undefined) return;
      const { status, stderr } = runToEnd(program, ['-n', '-f', '-S', '.gz', path], {}, '');
      if (status !== 0) throw new Error(`gzip failed: ${stderr.trim()}`);
      renameFile(`${path}.gz`, file);
    },
    giveUp() {
      for (const one of [path, `${path}.gz`]) removeFile(one);
    },
  };
}

async function collect(call: VerbCall, verbs: Readonly<Record<string, Verb>>): Promise<Bag> {
  const { env, runtime } = call;
  const attached = runtime.getCachedAttachments();
  const names = attached.flatMap(({ network, ifname, containerId }) => [network, ifname, containerId]);
  const bag = new Bag(new Masker([...names, ...Object.keys(verbs), ...(call.names?.() ?? [])]));
  const dataDirs = new Set([defaultDataDir]);
  const stateDirs = new Set<string>();
  const types = new Set<string>();
  const folder = configDir(env);
  await bag.part('configurations', () =>
    readFolder(
      folder,
      bag,
      (name) => /\.(conflist|conf|json)$/.test(name),
      (name, text) => {
        for (const plugin of pluginsIn(text)) note(plugin, types, dataDirs, stateDirs);
        bag.text(`config/${name}`, text);
      },
    ),
  );
  const cache = `${cacheDir(env)}/results`;
  await bag.part('cache', () =>
    readFolder(
      cache,
      bag,
      () => true,
      (name, text) => bag.text(`cache/${name}`, decoded(text)),
    ),
  );
  for (const dir of dataDirs) await bag.part(`reservations in ${dir}`, () => reservations(dir, bag));
  for (const dir of stateDirs) {
    await bag.part(`blocks in ${dir}`, () =>
      readFolder(
        dir,
        bag,
        (name) => name.endsWith('.json'),
        (name, text) => bag.text(`cluster/${name}`, text),
      ),
    );
  }
  await bag.part('host', () => bag.json('host/network.json', kernelState()));
  const paths = [...new Set(attached.flatMap(({ netns }) => (netns ? [netns] : [])))];
  for (const [at, path] of paths.slice(0, mostNamespaces).entries()) {
    await bag.part(`namespace ${path}`, () => namespace(path, at, bag));
  }
  if (paths.length > mostNamespaces) bag.leftOut(`${paths.length - mostNamespaces} further namespaces`);
  await bag.part('system', () => bag.json('host/system.json', system()));
  for (const [name, program, args] of rulers) await bag.part(name, () => rules(name, program, args, bag));
  let silent: string[] = [];
  await bag.part('plugins', () => {
    silent = versions(types, call, bag);
  });
  for (const one of reports) {
    const verb = verbs[one.verb];
    if (silent.length > 0)
      bag.leftOut(`report ${one.name}: ${silent.join(', ')} did not answer VERSION, and it would wait`);
    else if (verb !== undefined) await bag.part(`report ${one.name}`, () => report(one, verb, call, bag));
  }
  return bag;
}

const mostNamespaces = 300;

function pluginsIn(text: string): Json[] {
  try {
    const json = parseJson(text);
    if (!isJsonObject(json)) return [];
    return Array.isArray(json.plugins) ? json.plugins.filter(isJsonObject) : [json];
  } catch {
    return []; // it is collected as it is
  }
}

type Json = Record<string, unknown>;

/** A plugin's type, that of its IPAM plugin, where reservations are, and where the agent of a cluster has the node's blocks. */
function note({ type, ipam }: Json, types: Set<string>, dataDirs: Set<string>, stateDirs: Set<string>): void {
  if (typeof type === 'string') types.add(type);
  if (!isJsonObject(ipam)) return;
  if (typeof ipam.type === 'string') types.add(ipam.type);
  if (clusterIpam.includes(String(ipam.type)))
    stateDirs.add(textMember(ipam, 'stateDir') || defaultStateFolder);
  if (typeof ipam.dataDir === 'string' && ipam.dataDir.startsWith('/')) dataDirs.add(ipam.dataDir);
}

/** An entry of the cache has its configuration in base64, where no mask would find anything. */
function decoded(text: string): string {
  const json = parseJson(text);
  if (!isJsonObject(json) || typeof json.config !== 'string') return text;
  let config: unknown;
  try {
    config = parseJson(textOf(toByteArray(json.config)));
  } catch {
    config = '(no JSON in base64, left out)';
  }
  return encodeJson({ ...json, config });
}

function reservations(dir: string, bag: Bag): void {
  for (const network of listFolder(dir).sort()) {
    const folder = `${dir}/${network}`;
    if (!tryStat(folder)?.isFolder) continue;
    const held: Record<string, { bytes: number; lines: string[] }> = {};
    readFolder(
      folder,
      bag,
      (name) => /^[0-9a-fA-F.:]+$|^last_reserved_ip\.\d+$|^lock$/.test(name),
      (name, text) => {
        held[name] = { bytes: text.length, lines: text.slice(0, 1000).split(/\r?\n/) };
      },
    );
    bag.text(`reservations/${network}.json`, JSON.stringify({ folder, held }));
  }
}

function namespace(path: string, at: number, bag: Bag): void {
  let netns: Netns;
  try {
    netns = Netns.open(path);
  } catch (error) {
    bag.json(`namespaces/${at}.json`, { path, error: errorText(error) });
    return;
  }
  try {
    bag.json(`namespaces/${at}.json`, { path, ...kernelState(netns) });
  } finally {
    netns.close();
  }
}

/** What this tool itself says. */
interface Report {
  readonly name: string;
  readonly verb: string;
  readonly args?: readonly string[];
  readonly options: readonly string[];
}

const reports: readonly Report[] = [
  { name: 'list', verb: 'list', options: ['json', 'why'] },
  { name: 'validate', verb: 'validate', options: ['json', 'offline'] },
  { name: 'addresses', verb: 'ipam', args: ['check'], options: ['json'] },
  { name: 'doctor', verb: 'doctor', options: ['json'] },
];

async function report(
  { name, args = [], options }: Report,
  verb: Verb,
  call: VerbCall,
  bag: Bag,
): Promise<void> {
  let said = '';
  const text = await verb.run({
    ...call,
    args,
    options: (option) => (options.includes(option) ? [''] : undefined),
    say: (line) => {
      said += `${unquoted(line)}\n`;
    },
    note: (line) => {
      said += `${unquoted(line)}\n`;
    },
    ends: () => undefined,
  });
  bag.text(`reports/${name}.json`, withoutLines(text));
  if (said !== '') bag.text(`reports/${name}.txt`, said);
}

/** A finding has the whole line it is about, where a key that is misspelt hides what it is; and why a file is no JSON is told
 *  with some of its text, be it of a file that is not to be read here. */
function withoutLines(text: string): string {
  try {
    const json = parseJson(text);
    return JSON.stringify(json, (key, value) => {
      const digits = wholeNumberText(value);
      if (digits !== undefined) return digits;
      if (typeof value !== 'string') return value;
      if (key === 'text' && text.includes('"pointer"')) return '';
      return /JSON|pars|unexpected|expected .*found /i.test(value) ? unquoted(value) : value;
    });
  } catch {
    return unquoted(text);
  }
}

/** Each line without what stands in it between quotes. */
function unquoted(text: string): string {
  return text.replace(/["'].*["']/g, '"…"');
}
