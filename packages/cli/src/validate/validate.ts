/** What is wrong with configurations: in each, between them, and with the node they are on. Nothing is changed. */
import { Input } from '@cni-ts/invoke/input';
import { encodeSorted, isJsonObject, readSorted } from '@cni-ts/libcni/json';
import { type ConfigFinding, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { servePlugin } from '@cni-ts/skeleton/dispatch';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { checkNetworkName } from '@cni-ts/spec/names';
import { newestVersion, specVersions } from '@cni-ts/spec/released-versions';
import { compareVersions } from '@cni-ts/spec/spec-version';
import { addressesOf } from './address-rules.ts';
import { chainFindings } from './chain-rules.ts';
import { type ConfigDocument, type Json, readDocuments } from './document.ts';
import { fileFindings, type Network, nameOf } from './file-rules.ts';
import { below, type Draft, error, type Finding, note } from './finding.ts';
import { isOfIpam, listFindings, pluginsOf } from './list-rules.ts';
import {
  type Executables,
  executableFindings,
  linkFindings,
  misspeltTypes,
  type Node,
} from './node-rules.ts';
import { settingFindings } from './setting-rules.ts';
import type { Source } from './source.ts';

/** How much what is found on this node counts: configurations of another node may well name links that this one lacks. */
export type Weight = 'counts' | 'is told' | 'is not looked at';

export interface Surroundings {
  /** Plugins of this program. */
  readonly plugin: (type: string) => Plugin | undefined;
  /** What an executable answers to VALIDATE; undefined where it knows no such thing. */
  readonly ask?: (type: string, network: string, version: string, json: Json) => Promise<unknown>;
  readonly node?: Node | undefined;
  readonly links: Weight;
  readonly executables?: Executables;
  readonly programs: Weight;
  /** The files are of one folder, and stand beside each other. */
  readonly isFolder: boolean;
  /** Whether a list without plugins has some in a folder beside it. */
  readonly hasPluginsBeside: (document: ConfigDocument) => boolean;
}

export interface Outcome {
  readonly findings: readonly Finding[];
  readonly documents: readonly ConfigDocument[];
  /** What a runtime that takes the first network of a folder would take. */
  readonly winner: ConfigDocument | undefined;
}

export async function validate(sources: readonly Source[], around: Surroundings): Promise<Outcome> {
  const findings: Finding[] = [];
  const documents: ConfigDocument[] = [];
  const networks: Network[] = [];
  let winner: ConfigDocument | undefined;
  for (const source of sources) {
    const read = readDocuments(source);
    findings.push(...read.findings);
    for (const document of read.documents) {
      documents.push(document);
      const hasPluginsBeside = around.hasPluginsBeside(document);
      const listed = listFindings(document, { isFolder: around.isFolder, hasPluginsBeside });
      const isLoadable = listed.every(({ level }) => level !== 'error');
      if (isLoadable && document.resource === undefined) winner ??= document;
      const { findings: addresses, ranges } = addressesOf(document);
      networks.push({ document, ranges });
      const chain = [...listed, ...chainFindings(document), ...settingFindings(document), ...addresses];
      // What the node says of a version has the cure in it.
      const all = [
        ...chain,
        ...(await nodeFindings(document, around)),
        ...(await pluginFindings(document, around)),
      ];
      findings.push(...distinct(document, all).map((draft) => document.place(draft)));
    }
  }
  if (around.isFolder || networks.length > 1) {
    findings.push(...fileFindings(networks).map(({ document, draft }) => document.place(draft)));
  }
  const order = new Map(sources.map(({ file }, i) => [file, i]));
  const rank = (one: Finding) => (order.get(one.file) ?? 0) * 1e9 + one.line * 1e4 + one.column;
  return { findings: findings.toSorted((a, b) => rank(a) - rank(b)), documents, winner };
}

/** What plugins find in their own configuration. */
async function pluginFindings(document: ConfigDocument, around: Surroundings): Promise<Draft[]> {
  const found: Draft[] = [];
  const version = versionOf(document.json);
  const network = usableName(nameOf(document));
  // Without one the plugin may be part of a list that has one.
  const stated =
    'cniVersion' in document.json || 'cniVersions' in document.json ? { cniVersion: version } : {};
  for (const { json, type, path } of pluginsOf(document)) {
    const plugin = around.plugin(isOfIpam(json) ? textMember(objectMember(json, 'ipam'), 'type') : type);
    if (plugin)
      found.push(...below(path, await served(plugin, { ...json, name: network, ...stated }, around)));
    else if (around.ask && type !== '')
      found.push(...below(path, answered(await around.ask(type, network, version, json))));
  }
  return found;
}

async function served(plugin: Plugin, json: Json, { plugin: inProcess }: Surroundings): Promise<Draft[]> {
  const input = new Input(
    () => encodeSorted(json),
    () => readSorted(json),
  );
  try {
    const env = { CNI_COMMAND: 'VALIDATE' };
    const reply = await servePlugin(plugin, { env, writeStderr() {}, inProcess }, input);
    return answered(JSON.parse(typeof reply === 'string' ? reply : '{}'));
  } catch (thrown) {
    return [error('CNI1014', [], errorText(thrown))];
  }
}

/** The findings in an answer, whoever gave it. */
function answered(answer: unknown): Draft[] {
  const list = isJsonObject(answer) && Array.isArray(answer.findings) ? answer.findings : [];
  return list.filter(isDraft);
}

function isDraft(one: unknown): one is ConfigFinding {
  return (
    isJsonObject(one) &&
    typeof one.code === 'string' &&
    /^CNI[1-4]\d{3}$/.test(one.code) &&
    typeof one.message === 'string' &&
    ['error', 'warning', 'note'].includes(String(one.level)) &&
    Array.isArray(one.path)
  );
}

async function nodeFindings(document: ConfigDocument, around: Surroundings): Promise<Draft[]> {
  const found: Draft[] = [];
  if (around.node && around.links !== 'is not looked at') {
    found.push(...weighed(linkFindings(document, around.node), around.links));
  }
  if (around.executables && around.programs !== 'is not looked at') {
    const all = await executableFindings(document, versionOf(document.json), around.executables);
    found.push(...weighed(all, around.programs));
  } else found.push(...misspeltTypes(document));
  return found;
}

/** A name that is near one that everybody knows is misspelt on any node. */
function weighed(drafts: readonly Draft[], weight: Weight): Draft[] {
  if (weight === 'counts') return [...drafts];
  return drafts.map((one) =>
    one.code === 'CNI4001' && one.nearest !== undefined
      ? one
      : note(one.code, one.path, `on this node: ${one.message}`),
  );
}

/** Each once, and a plugin's own words only where nothing better was found of the same thing. */
function distinct(document: ConfigDocument, drafts: readonly Draft[]): Draft[] {
  const seen = new Set<string>();
  const places = pluginsOf(document).map(({ path }) => path);
  const better = drafts.filter(
    ({ level, ofPlugin, code }) => level === 'error' && !ofPlugin && !code.startsWith('CNI4'),
  );
  const isBetterTold = ({ path }: Draft) => {
    const plugin = places.find((one) => startsWith(path, one)) ?? [];
    const inIpam = [...plugin, 'ipam'];
    // What has no place of its own may be about anything in the plugin.
    const about = path.length === plugin.length ? plugin : startsWith(path, inIpam) ? inIpam : path;
    return better.some((one) => startsWith(one.path, about));
  };
  return drafts.filter((one) => {
    if (one.ofPlugin && isBetterTold(one)) return false;
    const key = `${one.code} ${JSON.stringify(one.path)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function startsWith(path: Draft['path'], beginning: Draft['path']): boolean {
  return beginning.every((step, i) => step === path[i]);
}

/** As libcni chooses it; a version that is none counts as the newest, for what else is wrong. */
function versionOf(json: Json): string {
  const several = Array.isArray(json.cniVersions) ? json.cniVersions : [];
  const spoken = [json.cniVersion, ...several].filter(
    (one) => typeof one === 'string' && specVersions.includes(one),
  );
  const highest = (spoken as string[]).sort(compareVersions).at(-1); // reason: specVersions are texts
  if (highest !== undefined) return highest;
  return json.cniVersion === undefined || json.cniVersion === '' ? '0.1.0' : newestVersion;
}

function usableName(name: string): string {
  try {
    checkNetworkName(name);
    return name;
  } catch {
    return 'network'; // which is told by itself
  }
}

/** Name, version and types of a configuration, for who lists them. */
export function outline({ json }: ConfigDocument): { name: string; version: string } {
  return { name: textMember(json, 'name'), version: versionOf(json) };
}
