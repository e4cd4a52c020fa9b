/** What a configuration needs of the node it is on. */
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { errorText } from '@cni-ts/spec/cni-error';
import { misspeltWord } from '@cni-ts/spec/nearest-word';
import { specVersions } from '@cni-ts/spec/released-versions';
import type { ConfigDocument } from './document.ts';
import { type Draft, error, type Path, warning } from './finding.ts';
import { pluginsOf } from './list-rules.ts';
import { interfacePlugins, ipamPlugins, upperPlugins, wellKnown } from './plugin-types.ts';

export interface NodeLink {
  readonly name: string;
  readonly mtu: number;
  /** Name of the bridge, bond or the like that it is a port of; '' for none. */
  readonly master: string;
  readonly altNames: readonly string[];
}

/** What is looked at of the node. */
export interface Node {
  readonly links: readonly NodeLink[];
  /** Name of the link that the default route leads out of; undefined where there is none. */
  readonly uplink: string | undefined;
}

/** Executables of plugins, and what they say of themselves. */
export interface Executables {
  /** Undefined where there is none of that name. */
  find(type: string): string | undefined;
  /** Throws where it cannot be asked. */
  versions(type: string): Promise<readonly string[]>;
}

/** Links: masters and MTUs. */
export function linkFindings(document: ConfigDocument, { links, uplink }: Node): Draft[] {
  return pluginsOf(document).flatMap(({ json, type, path }) => {
    const mtu = memberOf(json, 'mtu');
    if (upperPlugins.includes(type) && memberOf(json, 'linkInContainer') !== true) {
      const name = textMember(json, 'master');
      return masterFindings(name, typeof mtu === 'number' ? mtu : 0, { links, uplink }, type, path);
    }
    const way = links.find((one) => one.name === uplink);
    if (!way || !interfacePlugins.includes(type) || typeof mtu !== 'number' || mtu <= way.mtu) return [];
    const message = `mtu is ${mtu}, and packets leave this node by ${way.name}, whose MTU is ${way.mtu}`;
    return [warning('CNI3003', [...path, 'mtu'], message)];
  });
}

function masterFindings(
  name: string,
  mtu: number,
  { links, uplink }: Node,
  type: string,
  path: Path,
): Draft[] {
  const place = [...path, 'master'];
  if (name === '') {
    if (uplink !== undefined) return [];
    return [
      error(
        'CNI3001',
        [...path, 'type'],
        `${type} has no master, and this node has no default route to take one by`,
      ),
    ];
  }
  const link = links.find((one) => one.name === name || one.altNames.includes(name));
  if (!link) {
    const nearest = misspeltWord(
      name,
      links.map((one) => one.name),
    );
    const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`;
    const message = `this node has no link ${JSON.stringify(name)}${meant}`;
    return [error('CNI3001', place, message, nearest === undefined ? {} : { nearest })];
  }
  const found: Draft[] = [];
  if (link.master !== '') {
    found.push(
      error(
        'CNI3002',
        place,
        `${name} is a port of ${link.master}: ${type} on it gets nothing; name ${link.master} instead`,
      ),
    );
  }
  if (mtu > link.mtu) {
    found.push(
      error('CNI3003', [...path, 'mtu'], `mtu is ${mtu}, and that of its master ${name} is ${link.mtu}`),
    );
  }
  return found;
}

/** Whether the plugins are there and speak the version; which they share. `known` are names of this program's plugins. */
export async function executableFindings(
  document: ConfigDocument,
  version: string,
  executables: Executables,
): Promise<Draft[]> {
  const found: Draft[] = [];
  const wanted = pluginsOf(document).flatMap(({ json, type, path }) => {
    const ipam = textMember(objectMember(json, 'ipam'), 'type');
    const own = [{ type, path: [...path, 'type'] }];
    return ipam === '' ? own : [...own, { type: ipam, path: [...path, 'ipam', 'type'] }];
  });
  let shared = specVersions;
  const refusing: { type: string; path: Path; versions: readonly string[] }[] = [];
  for (const { type, path } of wanted) {
    if (type === '' || type.includes('/')) continue;
    if (executables.find(type) === undefined) {
      found.push(missingPlugin(type, path));
      continue;
    }
    try {
      const versions = await executables.versions(type);
      shared = shared.filter((one) => versions.includes(one));
      if (!versions.includes(version)) refusing.push({ type, path, versions });
    } catch (thrown) {
      found.push(error('CNI4003', path, `plugin ${type} does not answer: ${errorText(thrown)}`));
    }
  }
  const best = shared.at(-1);
  const cure = best === undefined ? 'they share no version' : `all plugins of this list speak ${best}`;
  for (const { type, path, versions } of refusing) {
    // An unknown version is told where it stands.
    if (!specVersions.includes(version)) continue;
    found.push(
      error('CNI4002', path, `plugin ${type} speaks ${versions.join(', ')}, not ${version}; ${cure}`),
    );
  }
  return found;
}

function missingPlugin(type: string, path: Path): Draft {
  const nearest = nearestPlugin(type);
  const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  const message = `there is no plugin ${JSON.stringify(type)} in the folders of CNI_PATH${meant}`;
  return error('CNI4001', path, message, nearest === undefined ? {} : { nearest });
}

/** Of a name that is nobody's. */
function nearestPlugin(type: string): string | undefined {
  return wellKnown.includes(type) ? undefined : misspeltWord(type, wellKnown);
}

/** Where executables are not looked at: names that are near one that everybody knows. */
export function misspeltTypes(document: ConfigDocument): Draft[] {
  return pluginsOf(document).flatMap(({ json, type, path }) => {
    const ipam = textMember(objectMember(json, 'ipam'), 'type');
    const asked = [
      { type, path: [...path, 'type'], among: wellKnown },
      { type: ipam, path: [...path, 'ipam', 'type'], among: [...ipamPlugins, ...wellKnown] },
    ];
    return asked.flatMap((one) => {
      const nearest = one.type === '' ? undefined : nearestPlugin(one.type);
      if (nearest === undefined) return [];
      const message = `nobody knows a plugin ${JSON.stringify(one.type)}; did you mean ${nearest}?`;
      return [error('CNI4001', one.path, message, { nearest })];
    });
  });
}
