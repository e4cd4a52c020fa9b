/** tuning: changes settings of the container's network namespace and attributes of a link that an earlier plugin of
 *  the chain made there.
 *
 *  The attributes (MAC, MTU, …) are put back by DEL, because the link may outlive the container: a device of the
 *  host goes back to the host. The settings are not: they live in the namespace and end with it. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { nearestExisting, requireAccess } from '@cni-ts/libc/file-status';
import { type Netns, NetnsError } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { failOn } from '@cni-ts/resource/drift';
import { findLink, findLinkByIndex, getLink, type Link } from '@cni-ts/rtnetlink/link';
import { configText } from '@cni-ts/skeleton/config-text';
import { findContainerNetns, openContainerNetns } from '@cni-ts/skeleton/own-netns';
import { type Change, type DryRun, definePlugin, type Plugin, type Request } from '@cni-ts/skeleton/plugin';
import { repairByCheck } from '@cni-ts/skeleton/repair-by-check';
import { CniError, cannotServe, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import { checkAllowed } from './allowlist.ts';
import { type Config, dataDirOf, parse, schema } from './config.ts';
import {
  type LinkValue,
  type LinkValues,
  linkDifferences,
  linkValues,
  macBytes,
  refuseImpossible,
  type SomeValues,
  setValue,
  valuesOf,
} from './link-values.ts';
import { repeatedSysctlKey } from './repeated-key.ts';
import {
  forgetStale,
  forgetValues,
  identityOf,
  isSameLink,
  type Saved,
  savedValues,
  saveValues,
} from './saved-values.ts';
import { type Setting, settingDifferences, settingsOf, writeSettings } from './setting.ts';

/** What the namespace and the link shall be like. */
interface Plan {
  readonly settings: readonly Setting[];
  readonly link: SomeValues;
}

function plan(request: Request<Config>, ifname = request.ifname): Plan {
  const repeated = repeatedSysctlKey(request.stdin);
  if (repeated !== undefined) {
    throw new CniError(
      ErrorCode.internal,
      'duplicated sysctl keys are not allowed',
      `${JSON.stringify(repeated)} stands there twice`,
    );
  }
  const { config } = request;
  return {
    settings: settingsOf(config.sysctl, config.argsSysctl, ifname),
    link: {
      mac: config.mac === '' ? undefined : formatMac(macBytes(config.mac)),
      promisc: config.promisc,
      mtu: config.mtu === 0 ? undefined : config.mtu,
      allmulti: config.allmulti,
      txQLen: config.txQLen,
    },
  };
}

/** Promiscuous mode is switched on or left alone. */
function toSet(wanted: SomeValues): LinkValue[] {
  return linkValues.filter((name) => wanted[name] !== undefined && (name !== 'promisc' || wanted.promisc));
}

function refuseForbidden({ sysctl, argsSysctl }: Config, allowlist: string): void {
  checkAllowed(allowlist, [...new Set([...Object.keys(sysctl), ...Object.keys(argsSysctl)])]);
}

function add(request: Request<Config>, allowlist: string): Result {
  refuseForbidden(request.config, allowlist);
  const planned = plan(request);
  const { prevResult } = request;
  if (prevResult === undefined) throw new Error('Required prevResult missing');
  const container = openContainerNetns(request);
  const names = toSet(planned.link);
  const route = names.length > 0 ? Netlink.open('route', container) : undefined;
  const link = route && getLink(route, request.ifname);
  if (link) refuseImpossible(link, planned.link);

  writeSettings(planned.settings, container, request.undo);
  if (route && link) tuneLink(route, link, container, planned.link, names, request);
  return completed(prevResult, request, planned.link);
}

function tuneLink(
  route: Netlink,
  link: Link,
  container: Netns,
  wanted: SomeValues,
  names: readonly LinkValue[],
  request: Request<Config>,
): void {
  const { config, network, undo } = request;
  const before = valuesOf(link);
  const earlier = earlierValues(request, link, container);
  // What is tuned already was so by an earlier ADD, whose file knows what the link was like before that one.
  const original = (name: LinkValue) =>
    before[name] === wanted[name] && earlier[name] !== undefined ? earlier[name] : before[name];
  const values = Object.fromEntries(names.map((name) => [name, original(name)]));
  const saved = { values, link: identityOf(link, container, wanted.mac) };
  saveValues(config.dataDir, request, network, saved, undo);
  for (const name of names) {
    const value = wanted[name];
    if (value === undefined || value === before[name]) continue;
    undo.make(
      `${name} of ${link.name}`,
      () => setValue(route, link, name, value),
      () => setUnlessGone(route, link, name, before[name]),
    );
  }
}

/** A link that is gone needs nothing any more. */
function setUnlessGone<K extends LinkValue>(route: Netlink, link: Link, name: K, value: LinkValues[K]): void {
  if (findLinkByIndex(route, link.index)) setValue(route, link, name, value);
}

/** Of an ADD for this link that no DEL came after. One that cannot be read is replaced. */
function earlierValues(
  { config, containerId, ifname, log }: Request<Config>,
  link: Link,
  container: Netns,
): SomeValues {
  try {
    const saved = savedValues(config.dataDir, { containerId, ifname });
    return saved && (!saved.link || isSameLink(saved.link, link, container)) ? saved.values : {};
  } catch (error) {
    log(`tuning: values saved by an earlier ADD are lost: ${errorText(error)}`);
    return {};
  }
}

/** The link's new MAC, and its new MTU where the result says one. An interface of the same name that is not in the
 *  container is another one; results that give no sandboxes at all mean the container's. */
function completed(prevResult: Result, { ifname }: Request<Config>, { mac, mtu }: SomeValues): Result {
  const { interfaces } = prevResult;
  if (interfaces === undefined) return prevResult;
  const named = interfaces.filter(({ name }) => name === ifname);
  const inside = named.filter(({ sandbox }) => sandbox);
  const own = inside.length > 0 ? inside : named;
  return {
    ...prevResult,
    interfaces: interfaces.map((one) => {
      if (!own.includes(one)) return one;
      return { ...one, ...(mac && { mac }), ...(mtu && one.mtu && { mtu }) };
    }),
  };
}

function check(request: Request<Config>): void {
  const planned = plan(request);
  if (request.prevResult === undefined) throw new Error('Required prevResult missing');
  const container = openContainerNetns(request);
  const drift = settingDifferences(planned.settings, container);
  if (linkValues.some((name) => planned.link[name] !== undefined)) {
    const link = findLink(Netlink.open('route', container), request.ifname);
    if (link) drift.push(...linkDifferences(link, planned.link));
    else drift.push(`Cannot find container link ${request.ifname}`);
  }
  failOn(drift);
}

/** Which settings and attributes would change, from what to what. */
function dryRun(request: Request<Config>, allowlist: string): DryRun {
  refuseForbidden(request.config, allowlist);
  const planned = plan(request);
  const { prevResult, ifname } = request;
  if (prevResult === undefined) throw new Error('Required prevResult missing');
  const changes = settingDifferences(planned.settings, openContainerNetns(request)).map(changeOf);
  const names = toSet(planned.link);
  const link =
    names.length > 0 ? findLink(Netlink.open('route', openContainerNetns(request)), ifname) : undefined;
  if (link) {
    refuseImpossible(link, planned.link);
    changes.push(...linkDifferences(link, planned.link).map(changeOf));
  }
  return { changes, result: completed(prevResult, request, planned.link) };
}

function changeOf(text: string): Change {
  return { sign: '~', text: text.replace(/^Error: Tuning (?:link )?/, '') };
}

/** What the link was like before ADD is remembered already: its values are set, and nothing is saved. */
function setAgain(request: Request<Config>, allowlist: string): void {
  refuseForbidden(request.config, allowlist);
  const planned = plan(request);
  const container = openContainerNetns(request);
  writeSettings(planned.settings, container, request.undo);
  const names = toSet(planned.link);
  if (names.length === 0) return;
  const route = Netlink.open('route', container);
  const link = getLink(route, request.ifname);
  for (const name of names) {
    const value = planned.link[name];
    if (value !== undefined) setValue(route, link, name, value);
  }
}

/** Puts the link back as it was. What stands in the way is logged and no failure: the container is going, and a
 *  runtime that repeats DEL would not get further. Where there is nothing to put back any more, no file stays. Of the
 *  configuration it needs the directory alone. */
function del(request: Request<Config>): void {
  const dataDir = folderToClear(request);
  let saved: Saved | undefined;
  try {
    saved = savedValues(dataDir, request);
  } catch (error) {
    request.log(`tuning: saved values are lost, ${request.ifname} stays as it is: ${errorText(error)}`);
  }
  const failures = saved ? restore(request, saved) : [];
  if (failures.length === 0) forgetValues(dataDir, request);
  else request.log(`tuning: ${request.ifname} was not put back as it was: ${failures.join('; ')}`);
}

function folderToClear({ json }: Request<Config>): string {
  return dataDirOf(configText(json, 'dataDir'));
}

/** MTU first: some drivers refuse a MAC or a queue length while it is out of their usual range. All are tried. */
const restoreOrder: readonly LinkValue[] = ['mtu', 'mac', 'promisc', 'allmulti', 'txQLen'];

function restore(request: Request<Config>, saved: Saved): string[] {
  const { netns, ifname } = request;
  const failures: string[] = [];
  try {
    const container = findContainerNetns(request);
    const route = container && Netlink.open('route', container);
    const link = route && findLink(route, ifname);
    if (!link) return [];
    if (!(saved.link ? isSameLink(saved.link, link, container) : isTuned(request, link, saved.values))) {
      request.log(
        `tuning: ${ifname} in ${netns} is not the link that was tuned for this container, it stays as it is`,
      );
      return [];
    }
    for (const name of restoreOrder) {
      const value = saved.values[name];
      // An empty MAC and a zero MTU were never a link's own.
      if (value === undefined || value === '' || (name === 'mtu' && value === 0)) continue;
      try {
        if (valuesOf(link)[name] !== value) setValue(route, link, name, value);
      } catch (error) {
        failures.push(errorText(error));
      }
    }
  } catch (error) {
    if (!(error instanceof NetnsError)) failures.push(errorText(error));
  }
  return failures;
}

/**
 * Whether a link may be the one that the reference tuned, whose file does not tell: by its MAC in the result, else by
 * what the configuration made of it. Where neither says anything it is taken for that, as the reference does.
 */
function isTuned(request: Request<Config>, link: Link, saved: SomeValues): boolean {
  try {
    const named = (request.prevResult?.interfaces ?? []).filter(({ name }) => name === request.ifname);
    const recorded = (named.find(({ sandbox }) => sandbox) ?? named[0])?.mac;
    const mac = recorded === undefined ? undefined : parseMac(recorded);
    if (mac) return formatMac(mac) === formatMac(link.mac);
    const wanted = plan(request).link;
    const has = valuesOf(link);
    return linkValues.every(
      (name) => saved[name] === undefined || wanted[name] === undefined || has[name] === wanted[name],
    );
  } catch (error) {
    request.log(
      `tuning: the configuration is not valid, ${link.name} is put back as it was saved: ${errorText(error)}`,
    );
    return true;
  }
}

function gc(request: Request<Config>): void {
  forgetStale(folderToClear(request), request.network, request.validAttachments);
}

/** Changes nothing. The plugin's own namespace stands in for the container's, whose settings are the same files. */
function status(request: Request<Config>, allowlist: string): void {
  try {
    const { config } = request;
    refuseForbidden(config, allowlist);
    const planned = plan(request, 'default');
    for (const { key, path } of planned.settings)
      if (!key.includes('IFNAME')) requireAccess(`/proc/sys/${path}`, { write: true });
    if (planned.settings.length > 0) requireAccess('/proc/sys/net/ipv4/ip_forward', { write: true });
    if (toSet(planned.link).length > 0) {
      // ADD makes what is missing of the path.
      requireAccess(nearestExisting(config.dataDir), { write: true, execute: true });
    }
  } catch (error) {
    throw cannotServe('tuning', errorText(error), '', error);
  }
}

/** The plugin with its administrator's list in another file. */
export function tuningWith(allowlist: string): Plugin {
  return definePlugin({
    type: 'tuning',
    config: schema,
    parse,
    add: (request) => add(request, allowlist),
    check,
    del,
    gc,
    status: (request) => status(request, allowlist),
    plan: (request) => dryRun(request, allowlist),
    repair: (request) =>
      repairByCheck(
        () => check(request),
        () => setAgain(request, allowlist),
      ),
  });
}

export const tuning = tuningWith('/etc/cni/tuning/allowlist.conf');
