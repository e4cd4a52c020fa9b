/**
 * A small IPAM plugin that keeps every promise of the suite, and the same with one fault; each fault is one that plugins in
 * the field have. Run as a program, with the fault as its argument, it serves one call.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { main } from '@cni-ts/skeleton/main';
import type { DryRun, Plugin, RawRequest, Verb } from '@cni-ts/skeleton/plugin';
import { specVersions } from '@cni-ts/spec/released-versions';
import type { Result } from '@cni-ts/spec/result';
import { sh } from '../src/shell.ts';

/** Each fault, the promise it breaks, and what must be said of it. */
export const faults = {
  'its result tells of links': ['ADD answers in version 1.1.0', /which links there are/],
  'it gives no address': ['ADD answers in version 0.4.0', /no address was given/],
  'its ADD works in the container': ['ADD changes nothing in the container', /"name": "by-ipam"/],
  'its CHECK is blind': ['CHECK finds: it is gone', /CHECK passed/],
  'its CHECK finds too much': ['CHECK finds nothing wrong', /the moon is missing/],
  'its CHECK reserves': ['CHECK finds nothing wrong', /CHECK changed something/],
  'its dry run takes': ['a dry run', /the dry run took something/],
  'its dry run tells another': ['a dry run', /10\.9\.0\.99/],
  'its dry run is silent': ['a dry run', /to contain '10\.9\.0\.2'/],
  'its REPAIR does nothing': ['REPAIR heals', /10\.9\.0\.2 is not reserved/],
  'its REPAIR does not look': ['REPAIR right after ADD', /\+ *"10\.9\.0\.2"/],
  'its ADD keeps nothing': ['DEL as usual', /ADD is seen nowhere/],
  'its DEL leaves the reservation': ['DEL as usual', /\+.*10\.9\.0\.3": "c1 eth0"/],
  'its second DEL fails': ['DEL as usual', /never heard of it/],
  'its DEL needs prevResult': ['DEL without prevResult', /prevResult, please/],
  'its DEL stops where the namespace is gone': ['DEL after the namespace', /10\.9\.0\.2": "c1 eth0"/],
  'its DEL wants a namespace': ['DEL with a CNI_NETNS that has', /unknown FS magic/],
  'its DEL wants CNI_NETNS': ['DEL with an empty CNI_NETNS', /CNI_NETNS, please/],
  'its DEL wants the subnet': ['DEL with a configuration that has lost', /the subnet, please/],
  'its DEL reads the subnet': ['DEL with a configuration that is not valid', /the subnet is no text/],
  'its DEL goes by the subnet of today': ['DEL with another configuration', /10\.9\.0\.2": "c1 eth0"/],
  'its DEL without ADD fails': ['DEL without ADD', /never heard of it/],
  'its DEL takes every interface': ['DEL of one interface', /-.*10\.9\.0\.2": "c1 eth0"/],
  'its repeated ADD takes another': ['an ADD repeated', /another address now/],
  'its repeated ADD gives the first back': ['an ADD repeated', /-.*10\.9\.0\.2": "c1 eth0"/],
  'its GC removes what is valid': ['GC with the attachment in the list', /-.*10\.9\.0\.2": "c1 eth0"/],
  'its GC does nothing': ['GC takes back', /"lost eth0"/],
  'its GC spares what is lost while the namespace lives': ['GC takes back', /"forgotten eth0"/],
  'its STATUS refuses a network that works': ['STATUS', /not today/],
  'it does not know a version': ['STATUS', /0\.1\.0/],
  'it gives everybody the same': ['two attachments', /10\.9\.0\.2/],
  'it looks before it takes': ['ADDs at once', /given were/],
  'its failed ADD leaves the reservation': ['an ADD that cannot write', /10\.9\.0\.2": "c1 eth0"/],
  'its DEL forgets before it removes': ['a DEL that cannot write', /10\.9\.0\.\d": "c/],
} as const;

export type Fault = keyof typeof faults;
type Has = (fault: Fault) => boolean;

export function toyIpam(fault?: Fault): Plugin {
  const has: Has = (one) => one === fault;
  return {
    type: 'toy-ipam',
    about: '',
    versions: has('it does not know a version') ? specVersions.slice(1) : specVersions,
    run: async (verb: Verb, request: RawRequest) => verbs[verb](request, has),
    plan: async (request) => dryRun(request, has),
    repair: async (request) => repair(request, has),
  };
}

const ipam = ({ json }: RawRequest) => json.ipam as { dataDir: string; subnet?: unknown }; // reason: its own cases'
const folder = (request: RawRequest) => ipam(request).dataDir;
const owner = ({ containerId, ifname }: RawRequest) => `${containerId} ${ifname}`;
const isAddress = (name: string) => /^10\.9\./.test(name);
const all = (request: RawRequest) =>
  existsSync(folder(request)) ? readdirSync(folder(request)).filter(isAddress).sort() : [];
const heldBy = (request: RawRequest, name: string) => readFileSync(join(folder(request), name), 'utf8');
const own = (request: RawRequest) => all(request).filter((name) => heldBy(request, name) === owner(request));
const release = (request: RawRequest, names: readonly string[]) => {
  for (const name of names) rmSync(join(folder(request), name), { force: true });
};

function firstFree(request: RawRequest): string {
  const taken = all(request);
  for (let last = 2; ; last++) if (!taken.includes(`10.9.0.${last}`)) return `10.9.0.${last}`;
}

function take(request: RawRequest, has: Has): string {
  mkdirSync(folder(request), { recursive: true });
  if (has('it gives everybody the same')) return '10.9.0.2';
  for (;;) {
    const name = firstFree(request);
    try {
      if (has('it looks before it takes')) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
        writeFileSync(join(folder(request), name), owner(request));
      } else writeFileSync(join(folder(request), name), owner(request), { flag: 'wx' });
      return name;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
        release(request, own(request)); // of a full disk: an empty file
        for (const one of all(request)) if (heldBy(request, one) === '') release(request, [one]);
        throw error;
      }
    }
  }
}

const resultOf = (name: string): Result => ({ ips: [{ address: `${name}/24`, gateway: '10.9.0.1' }] });

const verbs: Record<Verb, (request: RawRequest, has: Has) => Result | undefined> = {
  add(request, has) {
    const [before] = own(request);
    if (before && has('its repeated ADD gives the first back')) release(request, [before]);
    if (before && !has('its repeated ADD takes another')) throw new Error(`${owner(request)} has ${before}`);
    if (has('it gives no address')) return { ips: [] };
    if (has('its ADD works in the container')) {
      Netns.open(request.netns).run(() => sh('ip link add by-ipam type bridge'));
    }
    if (has('its ADD keeps nothing')) return resultOf('10.9.0.2');
    const name = take(request, has);
    if (!has('its failed ADD leaves the reservation')) request.undo.add(name, () => release(request, [name]));
    writeFileSync(join(folder(request), 'lock'), name); // what can fail after it
    return has('its result tells of links')
      ? { ...resultOf(name), interfaces: [{ name: 'eth0' }] }
      : resultOf(name);
  },
  check(request, has) {
    const [lost] = lostOf(request);
    if (lost && !has('its CHECK is blind')) throw new Error(`${lost} is not reserved`);
    if (has('its CHECK finds too much')) throw new Error('the moon is missing');
    if (has('its CHECK reserves')) writeFileSync(join(folder(request), '10.9.0.50'), 'somebody');
    return undefined;
  },
  del(request, has) {
    const { netns, prevResult, containerId } = request;
    if (has('its DEL needs prevResult') && !prevResult) throw new Error('prevResult, please');
    if (has('its DEL wants CNI_NETNS') && netns === '') throw new Error('CNI_NETNS, please');
    if (has('its DEL stops where the namespace is gone') && !existsSync(netns)) return undefined;
    if (has('its DEL wants a namespace') && existsSync(netns)) Netns.open(netns).close();
    const { subnet } = ipam(request);
    if (has('its DEL wants the subnet') && subnet === undefined) throw new Error('the subnet, please');
    if (has('its DEL reads the subnet') && subnet === false) throw new Error('the subnet is no text');
    if (has('its DEL goes by the subnet of today') && subnet !== '10.9.0.0/24') return undefined;
    if (has('its DEL leaves the reservation')) return undefined;
    const mine = own(request);
    const known = mine.length > 0 || containerId === 'warmup';
    if (has('its second DEL fails') && !known && prevResult) throw new Error('never heard of it');
    if (has('its DEL without ADD fails') && !known) throw new Error('never heard of it');
    if (has('its DEL takes every interface')) {
      release(
        request,
        all(request).filter((name) => heldBy(request, name).startsWith(`${containerId} `)),
      );
    }
    if (has('its DEL forgets before it removes')) {
      const note = join(folder(request), 'last_reserved_ip.0');
      if (existsSync(note) && readFileSync(note, 'utf8') === owner(request)) return undefined;
      if (mine.length > 0) writeFileSync(note, owner(request));
    }
    release(request, mine);
    return undefined;
  },
  gc(request, has) {
    if (has('its GC does nothing')) return undefined;
    const valid = request.validAttachments.map(({ containerId, ifname }) => `${containerId} ${ifname}`);
    if (has('its GC removes what is valid')) valid.length = 0;
    const stale = all(request).filter((name) => !valid.includes(heldBy(request, name)));
    const lives = (name: string) =>
      existsSync(join(folder(request), `../../netns-${heldBy(request, name).split(' ')[0]}`));
    const spares = has('its GC spares what is lost while the namespace lives');
    release(
      request,
      stale.filter((name) => !(spares && lives(name))),
    );
    return undefined;
  },
  status(_, has) {
    if (has('its STATUS refuses a network that works')) throw new Error('not today');
    return undefined;
  },
};

function lostOf(request: RawRequest): string[] {
  const given = (request.prevResult?.ips ?? []).map(({ address }) => address.replace(/\/.*/, ''));
  return given.filter((name) => !own(request).includes(name));
}

function dryRun(request: RawRequest, has: Has): DryRun {
  if (has('its dry run takes')) take(request, has);
  const name = has('its dry run tells another') ? '10.9.0.99' : firstFree(request);
  const text = has('its dry run is silent') ? 'a reservation' : `reservation of ${name}`;
  return { changes: [{ sign: '+', text }], result: resultOf(name) };
}

function repair(request: RawRequest, has: Has): string[] {
  if (has('its REPAIR does not look')) return ['10.9.0.2'];
  const lost = lostOf(request);
  if (!has('its REPAIR does nothing')) {
    for (const name of lost) writeFileSync(join(folder(request), name), owner(request));
  }
  return lost;
}

// reason: the test hands over one of its own keys, or nothing
if (import.meta.main) main(toyIpam(process.argv[2] as Fault | undefined));
