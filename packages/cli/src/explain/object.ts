/** What the words after `explain` name. A word may fit several kinds: the first below has it. */

import { isAbsolute, resolve } from 'node:path';
import { parseIp } from '@cni-ts/address/ip';
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { realPath } from '@cni-ts/libc/file';
import { netnsPath } from '../netns-argument.ts';
import { attachedNamed } from '../node/attached.ts';
import type { AskedPort } from '../node/host-port.ts';
import type { Sight } from '../node/sight.ts';
import { CannotLookError } from '../verb.ts';
import type { Explanation } from './explanation.ts';
import { explainAddress } from './of-address.ts';
import { explainContainer } from './of-container.ts';
import { explainFile, explainNetwork, ofNamespace } from './of-file.ts';
import { explainHostLink, explainInnerLink } from './of-link.ts';
import { explainPort } from './of-port.ts';
import { explainMark, explainRule } from './of-rule.ts';

/** Throws CannotLookError where it names nothing that is there or was. */
export function explainObject(sight: Sight, words: readonly string[]): Explanation {
  const word = words.join(' ');
  const [first = '', second = ''] = words;
  const found =
    words.length === 1
      ? explainWord(sight, word)
      : first === 'mark'
        ? withMark(sight, second)
        : (explainRule(sight, words) ?? (words.length === 2 ? inContainer(sight, first, second) : undefined));
  if (found) return found;
  throw new CannotLookError(nothing(sight, word));
}

function nothing(sight: Sight, word: string): string {
  const remembered = sight.cacheIsThere
    ? `${sight.cacheDir} remembers ${sight.attached.length} attachments`
    : `there is no ${sight.cacheDir}/results: no attachment of this node is remembered`;
  return `${word === '' ? 'an empty word' : word} is no container, address, port, link, rule, file or network of this node; ${remembered}`;
}

function explainWord(sight: Sight, word: string): Explanation | undefined {
  const port = readPort(word);
  if (port) return withPort(sight, port, word);
  const ip = parseIp(word.replace(/\/\d+$/, ''));
  if (ip && !word.includes('[')) return explainAddress(sight, ip);
  if (/^0x[0-9a-f]+$/i.test(word)) return withMark(sight, word) ?? withContainer(sight, word);
  const mac = parseMac(word);
  if (mac) return withMac(sight, formatMac(mac));
  if (word.startsWith('pid:')) return ofNamespace(sight, netnsPath(word));
  if (word.includes('/')) {
    const path = resolve(isAbsolute(word) ? '/' : realPath('.'), word);
    return (
      withContainer(sight, word, true) ??
      explainFile(sight, path) ??
      inContainer(sight, word.slice(0, word.indexOf('/')), word.slice(word.indexOf('/') + 1))
    );
  }
  return (
    withContainer(sight, word, true) ??
    explainHostLink(sight, word) ??
    explainNetwork(sight, word) ??
    explainInnerLink(sight, word) ??
    explainRule(sight, [word]) ??
    explainFile(sight, word) ??
    ofNamespace(sight, netnsPath(word)) ??
    withContainer(sight, word)
  );
}

/** `8080`, `8080/tcp`, `:8080/udp`, `192.0.2.1:8080`, `[2001:db8::1]:53/udp` */
export function readPort(
  word: string,
): (Omit<AskedPort, 'protocol'> & { protocol: string | undefined }) | undefined {
  const found = /^(?:(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\])?:)?(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(word);
  if (!found) return undefined;
  const [, host, number, protocol] = found;
  const port = Number(number);
  const address = host === undefined ? undefined : parseIp(host.replace(/^\[|\]$/g, ''));
  if (port < 1 || port > 65535 || (host !== undefined && !address)) return undefined;
  return { port, protocol: protocol?.toLowerCase(), address };
}

function withPort(
  sight: Sight,
  { port, protocol, address }: NonNullable<ReturnType<typeof readPort>>,
  word: string,
): Explanation | undefined {
  for (const one of protocol === undefined ? ['tcp', 'udp', 'sctp'] : [protocol]) {
    const found = explainPort(sight, { port, protocol: one, address });
    if (found) return found;
  }
  const container = /^\d+$/.test(word) ? withContainer(sight, word) : undefined;
  if (container) return container;
  throw new CannotLookError(
    `no rule of this node redirects port ${word}, and no attachment that is remembered published it: a program of the host may listen there, see "ss -lntup"`,
  );
}

/** A link of the host or of a container that has this hardware address. */
function withMac(sight: Sight, mac: string): Explanation | undefined {
  const link = sight.host.links.find((one) => one.mac === mac);
  if (link) return explainHostLink(sight, link.name);
  for (const { netns, containerId, ifname } of sight.attached) {
    const place = sight.inside.get(netns);
    if (place === undefined || place instanceof Error) continue;
    const has = place.links.some((one) => one.name === ifname && one.mac === mac);
    if (has) return explainInnerLink(sight, ifname, containerId);
  }
  return undefined;
}

function withMark(sight: Sight, word: string): Explanation | undefined {
  const value = Number(word);
  return Number.isInteger(value) ? explainMark(sight, value) : undefined;
}

/** By the whole ID, or by a beginning that only one has. */
function withContainer(sight: Sight, word: string, whole = false): Explanation | undefined {
  const found = attachedNamed(sight.attached, word);
  if (whole && !found.some(({ containerId, pod }) => containerId === word || pod === word)) return undefined;
  const ids = [...new Set(found.map(({ containerId }) => containerId))];
  if (ids.length > 1) {
    throw new CannotLookError(
      `${word} is the beginning of ${ids.length} containers: ${ids.slice(0, 5).join(', ')}`,
    );
  }
  if (found.length > 0) return explainContainer(sight, found);
  return fromReservations(sight, word);
}

/** A container of which only its addresses are left. */
function fromReservations(sight: Sight, word: string): Explanation | undefined {
  if (word === '') return undefined;
  const found = sight.reservations.filter(({ containerId }) => containerId.startsWith(word));
  const ids = [...new Set(found.map(({ containerId }) => containerId))];
  if (ids.length !== 1 || ids[0] === undefined) return undefined;
  return {
    kind: 'container',
    title: `container ${ids[0]}, of which only reservations are left`,
    attached: [],
    facts: found.map(({ path, ifname }) => `reservation ${path}${ifname === '' ? '' : ` for ${ifname}`}`),
    problems: [],
    unknown: [`whether it lives: ${sight.cacheDir} has nothing of it`],
  };
}

/** `c1 eth0`, `c1/eth0`, `eth0 c1` */
function inContainer(sight: Sight, one: string, other: string): Explanation | undefined {
  for (const [id, name] of [
    [one, other],
    [other, one],
  ] as const) {
    const ids = new Set(
      sight.attached.flatMap(({ containerId }) => (containerId.startsWith(id) ? [containerId] : [])),
    );
    const [only] = ids;
    const found = ids.size === 1 && id !== '' ? explainInnerLink(sight, name, only) : undefined;
    if (found) return found;
  }
  return undefined;
}
