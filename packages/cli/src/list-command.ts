/** `cnitool list`: the files of the node's folder in their order, which one counts, who is attached, and what plugins there are. */
import { namespaceLives } from '@cni-ts/libc/netns';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import { cacheDir } from '@cni-ts/spec/cache-dir';
import { cachedResult } from './cached-result.ts';
import { networkListAt, wantedConfigPaths } from './config-lists.ts';
import { damagedEntries, rememberedAttachments } from './remembered-attachments.ts';
import { configDir } from './settings.ts';
import type { Verb, VerbCall } from './verb.ts';

interface File {
  readonly file: string;
  readonly network?: string;
  readonly plugins?: readonly string[];
  readonly cniVersion?: string;
  readonly attachments?: number;
  /** Why it cannot be loaded. */
  readonly error?: string;
  readonly wins: boolean;
  readonly why: string;
}

interface Attached {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  readonly addresses: readonly string[];
  readonly lives: boolean;
}

interface Program {
  readonly type: string;
  readonly path?: string;
  readonly versions?: readonly string[];
  readonly error?: string;
}

export const list: Verb = {
  about: 'List configurations in their order and which wins, attachments, and plugins with their versions',
  examples: [
    {
      call: 'cnitool list',
      about: 'what counts on this node, who is attached, which plugins there are',
    },
    {
      call: 'cnitool list --why',
      about: 'with the reason why each file counts or does not',
    },
  ],
  needs: [],
  options: [
    { name: 'why', about: 'tell for each file why it counts or does not' },
    { name: 'json', about: 'print it as JSON (dist/schemas/cnitool-list.json)' },
  ],
  async run(call) {
    const folder = configDir(call.env);
    const known = rememberedAttachments(call.runtime);
    const attached = attachments(call, known);
    const damaged = damagedEntries(cacheDir(call.env), known);
    const { files, lists } = filesOf(folder, attached);
    const plugins = await programs(lists, call);
    const isBad = [...files, ...plugins].some(({ error }) => error !== undefined);
    if (isBad || damaged.length > 0) call.ends(1);
    if (call.options('json') !== undefined) {
      return `${JSON.stringify({ folder, files, attachments: attached, damaged, plugins }, undefined, 2)}\n`;
    }
    const why = call.options('why') !== undefined;
    return [
      ...(files.length === 0
        ? [`there is no configuration in ${folder}`]
        : files.map((one) => fileLine(one, why))),
      ...section('attachments', [...attached.map(attachedLine), ...damaged.map(damagedLine)]),
      ...section('plugins', plugins.map(programLine)),
      '',
    ].join('\n');
  },
};

/** Runtimes take the first by name that can be loaded, whatever its extension. */
function filesOf(folder: string, attached: readonly Attached[]): { files: File[]; lists: NetworkList[] } {
  const files: File[] = [];
  const lists: NetworkList[] = [];
  const names = new Map<string, string>();
  let winner: string | undefined;
  for (const path of wantedConfigPaths(folder)) {
    const file = path.slice(path.lastIndexOf('/') + 1);
    let found: NetworkList;
    try {
      found = networkListAt(path);
    } catch (error) {
      const text = textOf(error).replace(/^error parsing configuration( list)?: /, '');
      files.push({ file, error: text, wins: false, why: 'it cannot be loaded' });
      continue;
    }
    const wins = winner === undefined;
    const other = names.get(found.name);
    let why = `it comes after ${winner}`;
    if (wins)
      why = files.length === 0 ? 'it is the first by name' : 'it is the first by name that can be loaded';
    else if (other !== undefined) why = `network ${found.name} is defined by ${other}, which comes before it`;
    winner ??= file;
    if (other === undefined) names.set(found.name, file);
    lists.push(found);
    files.push({
      file,
      network: found.name,
      plugins: found.plugins.map(({ type }) => type),
      cniVersion: found.cniVersion || '0.1.0',
      attachments: attached.filter(({ network }) => network === found.name).length,
      wins,
      why,
    });
  }
  return { files, lists };
}

function attachments({ runtime }: VerbCall, known: readonly CachedAttachment[]): Attached[] {
  return known.map((one) => {
    const { network, containerId, ifname, netns = '' } = one;
    return {
      network,
      containerId,
      ifname,
      netns,
      addresses: addresses(one, runtime),
      lives: netns !== '' && namespaceLives(netns),
    };
  });
}

type Runtime = VerbCall['runtime'];

function addresses(
  one: Parameters<Runtime['getNetworkListCachedResult']>[1] & { network: string },
  runtime: Runtime,
): string[] {
  try {
    return (cachedResult(one, runtime).ips ?? []).map(({ address }) => address);
  } catch {
    return []; // damaged: the attachment is told all the same
  }
}

async function programs(lists: readonly NetworkList[], { runtime }: VerbCall): Promise<Program[]> {
  const types = new Set(
    lists.flatMap(({ plugins }) =>
      plugins.flatMap(({ type, json }) => {
        const { ipam } = json;
        const delegate = typeof ipam === 'object' && ipam !== null && 'type' in ipam ? ipam.type : undefined;
        return typeof delegate === 'string' && delegate !== '' ? [type, delegate] : [type];
      }),
    ),
  );
  const found: Program[] = [];
  for (const type of [...types].sort()) {
    const path = runtime.programOf(type);
    if (path === undefined) {
      found.push({ type, error: `it is in none of ${runtime.path.join(', ')}` });
      continue;
    }
    try {
      found.push({ type, path, versions: await runtime.getVersionInfo(type) });
    } catch (error) {
      found.push({ type, path, error: textOf(error) });
    }
  }
  return found;
}

function fileLine(
  { file, network, plugins, cniVersion, attachments: count, error, wins, why }: File,
  tellsWhy: boolean,
): string {
  if (error !== undefined) return `✗ ${file} ${error} (skipped)`;
  const many = `${count} attachment${count === 1 ? '' : 's'}`;
  const line = `${wins ? '▶' : ' '} ${file} ${network} ${plugins?.join('+')} ${cniVersion} ${many}`;
  return tellsWhy ? `${line}: ${wins ? 'wins, for ' : ''}${why}` : line;
}

function attachedLine({ network, containerId, ifname, netns, addresses: given, lives }: Attached): string {
  const where = netns === '' ? 'its namespace is not known' : `${netns} ${lives ? 'lives' : 'is gone'}`;
  return `${lives ? ' ' : '✗'} ${network} ${containerId}/${ifname} ${given.join(' ') || 'no address'} ${where}`;
}

function damagedLine(path: string): string {
  return `✗ ${path} cannot be read as an attachment: restart the container it is of, then remove the file`;
}

function programLine({ type, path, versions, error }: Program): string {
  return error === undefined ? `  ${type} ${path} ${versions?.join(', ')}` : `✗ ${type} ${error}`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `${title}:`, ...lines];
}
