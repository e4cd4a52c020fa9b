/** A main plugin as one value: what it needs, from which its verbs follow. */
import { formatMac } from '@cni-ts/address/mac';
import {
  type Change,
  type Delegate,
  type DryRun,
  definePlugin,
  type Plugin,
  type RawRequest,
  type Request,
} from '@cni-ts/skeleton/plugin';
import {
  CniError,
  cannotServe,
  ErrorCode,
  errorText,
  findCniError,
  toCniError,
} from '@cni-ts/spec/cni-error';
import { tryAll } from '@cni-ts/spec/failing';
import type { Interface, Result } from '@cni-ts/spec/result';
import type * as z from 'zod/mini';
import { changesOf, ensureAll, foreseeAll, repairAll } from './engine.ts';
import type { Lasting, Place, Resource } from './resource.ts';
import { Site } from './site.ts';
import { checkAll, collectionOf, removalOf, validConfig } from './verbs.ts';

/** What must be there for one attachment, in two stages: what needs no address, and what does. */
export interface Plan {
  /** The links of the result, in its order. */
  readonly interfaces: readonly PlannedLink[];
  /** Made before IPAM is asked. */
  readonly before: readonly Resource[];
  /** Of a network without IPAM, without its interfaces. */
  readonly result?: Result;
  /** From what IPAM gave, or in CHECK from the result as it was recorded. The result is without its interfaces. */
  readonly after?:
    | ((given: Result) => { readonly resources: readonly Resource[]; readonly result: Result })
    | undefined;
}

/** A link of the result. */
export interface PlannedLink {
  readonly at: Place;
  readonly name: string;
  /** Its MAC may have changed since it was looked at. */
  readonly changes?: boolean;
  /** The kernel has no such link: a driver of user space has the device. */
  readonly unseen?: boolean;
}

export interface MainPlugin<S extends z.core.$ZodType, C> {
  readonly type: string;
  readonly config: S | (() => S);
  readonly parse: (raw: z.output<S>, request: RawRequest) => C;
  /** Name of the IPAM plugin; '' for a network without addresses. */
  readonly ipam: (config: C) => string;
  /** It has no use without. */
  readonly needsIpam?: boolean;
  /** Fails where there is no IPAM plugin, in the plugin's own words for ADD. */
  readonly noIpam?: (config: C) => void;
  /** Addresses that a plugin before it in the chain gave; IPAM is not asked then. A plugin that can take such cannot do
   *  without both. */
  readonly chained?: (config: C, request: Request<C>) => Result | undefined;
  /** What the error begins with when IPAM fails ADD. */
  readonly ipamFailed?: string;
  /** As of definePlugin. */
  readonly refuse?: (config: C, request: RawRequest) => void;
  /** What ADD cannot do, and DEL must not stumble over; STATUS asks too. May look at the host, changes nothing. */
  readonly check?: (config: C, site: Site) => void;
  /** What STATUS asks besides. */
  readonly status?: (config: C, site: Site) => void;
  /** In CHECK and after, `site.recorded` is the result that ADD gave. */
  readonly plan: (config: C, site: Site) => Plan;
  /** What it leaves on the host, in the order DEL takes it away. Without a configuration where that is not valid (any
   *  more): a container must be able to go all the same. */
  readonly lasting: (config: C | undefined) => readonly Lasting[];
  /** CHECK without a prevResult. */
  readonly missing: string;
}

/** The IPAM plugin whose DEL needs the container's link. */
const leasedOverLink = 'dhcp';

export function mainPlugin<S extends z.core.$ZodType, C>(main: MainPlugin<S, C>): Plugin {
  const { type, config, parse } = main;
  /** Its IPAM plugin; undefined for a network without addresses. */
  const delegate = (request: Request<C>): Delegate | undefined => {
    const ipam = main.ipam(request.config);
    return ipam || main.needsIpam ? request.ipam(ipam) : undefined;
  };
  /** What gives the addresses of a new attachment. */
  const source = (request: Request<C>): Delegate | Result | undefined => {
    const chained = main.chained?.(request.config, request);
    if (chained) return chained;
    const ipam = main.ipam(request.config);
    if (ipam) return request.ipam(ipam);
    if (!main.needsIpam && !main.chained) return undefined;
    main.noIpam?.(request.config);
    // As a look for it would say, but before anything is made.
    throw new Error('no plugin name provided');
  };
  return definePlugin<S, C>({
    type,
    config,
    parse,
    refuse: main.refuse,
    async add(request) {
      const site = new Site(request);
      main.check?.(request.config, site);
      const from = begun(main.ipamFailed, () => source(request));
      const planned = main.plan(request.config, site);
      await ensureAll(site, planned.before);
      let result: Result = planned.result ?? {};
      if (planned.after && from) {
        const given = isDelegate(from) ? withoutLinks(await asked(main.ipamFailed, from)) : from;
        if (!given.ips?.length) throw new Error('IPAM plugin returned missing IP config');
        const after = planned.after(given);
        await ensureAll(site, after.resources);
        ({ result } = after);
      }
      return { ...result, interfaces: planned.interfaces.map((one) => observed(site, one)) };
    },
    async check(request) {
      const site = new Site(request);
      // First of all: whose namespace that is.
      void site.container;
      const planned = main.plan(request.config, site);
      const { prevResult } = request;
      if (!prevResult) throw new Error(main.missing);
      await delegate(request)?.check();
      checkAll(site, partsOf(planned, prevResult));
    },
    async plan(request) {
      const site = new Site(request);
      main.check?.(request.config, site);
      const from = begun(main.ipamFailed, () => source(request));
      const planned = main.plan(request.config, site);
      const notes = new Set<string>();
      const note = (text: string) => notes.add(text);
      // In the order of ADD: what fails first is what it would answer.
      foreseeAll(site, planned.before, note);
      const dry = planned.after && from && (await foretold(main.ipamFailed, from));
      const after = dry && planned.after?.(dry.result);
      const links = planned.interfaces.map(({ at, name }) => ({
        name,
        ...(at === 'container' && { sandbox: request.netns }),
      }));
      const result = { ...(after?.result ?? planned.result), interfaces: links };
      site.expect(result);
      foreseeAll(site, after?.resources ?? [], note);
      const changes = changesOf(site, [...planned.before, ...(after?.resources ?? [])]);
      const ofIpam: readonly Change[] =
        dry?.changes ??
        (planned.after
          ? [{ sign: '+', text: `addresses that ${main.ipam(request.config)} will choose` }]
          : []);
      for (const one of dry?.notes ?? []) note(one);
      return { changes: [...ofIpam, ...changes], result, notes: [...notes] };
    },
    async repair(request) {
      const site = new Site(request);
      void site.container;
      const planned = main.plan(request.config, site);
      const { prevResult } = request;
      if (!prevResult) throw new Error(main.missing);
      const ofIpam = (await delegate(request)?.repair()) ?? [];
      const repaired = await repairAll(site, partsOf(planned, prevResult));
      return [...ofIpam, ...repaired.map(({ text }) => text)];
    },
    async del(request) {
      const site = new Site(request);
      const config = validConfig(request);
      const ipam = config === undefined ? ipamType(request.json) : main.ipam(config);
      const links = removalOf(site, main.lasting(config));
      const addresses = () => (ipam || main.needsIpam ? request.ipam(ipam).del() : undefined);
      // An address is free when nobody has it any more. A lease is given back over the link that has it.
      await tryAll(ipam === leasedOverLink ? [addresses, ...links] : [...links, addresses]);
    },
    async gc(request) {
      const site = new Site(request);
      // Asked for first: without the list nothing may be done, by the delegate neither.
      const valid = request.validAttachments;
      const config = validConfig(request);
      const ipam = config === undefined ? ipamType(request.json) : main.ipam(config);
      await tryAll([
        ...collectionOf(site, main.lasting(config), valid),
        () => (ipam ? request.ipam(ipam).gc() : undefined),
      ]);
    },
    async status(request) {
      const site = new Site(request);
      try {
        main.check?.(request.config, site);
        main.status?.(request.config, site);
      } catch (error) {
        if (error instanceof CniError && error.code === ErrorCode.pluginNotAvailable) throw error;
        const own = findCniError(error);
        throw cannotServe(type, own?.message ?? errorText(error), own?.details, error);
      }
      await delegate(request)?.status();
    },
  });
}

function isDelegate(from: Delegate | Result): from is Delegate {
  return 'add' in from;
}

/** Its result; where the plugin has words of its own for its failure, with IPAM's code and details all the same. */
async function asked(words: string | undefined, ipam: Delegate): Promise<Result> {
  try {
    return await ipam.add();
  } catch (error) {
    throw worded(words, error);
  }
}

/** A dry run of it; undefined where it is another's and has none. */
async function foretold(words: string | undefined, from: Delegate | Result): Promise<DryRun | undefined> {
  if (!isDelegate(from)) return { changes: [], result: from };
  try {
    const dry = await from.plan();
    return dry && { ...dry, result: withoutLinks(dry.result) };
  } catch (error) {
    throw worded(words, error);
  }
}

function begun<T>(words: string | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw worded(words, error);
  }
}

function worded(words: string | undefined, error: unknown): unknown {
  if (words === undefined) return error;
  const { code, message, details } = toCniError(error);
  return new CniError(code, `${words}: ${message}`, details, { cause: error });
}

/** Of a configuration that is not valid. */
function ipamType({ ipam }: Readonly<Record<string, unknown>>): string {
  const type = typeof ipam === 'object' && ipam !== null && 'type' in ipam ? ipam.type : undefined;
  return typeof type === 'string' ? type : '';
}

function observed(site: Site, { at, name, changes, unseen }: PlannedLink): Interface {
  if (changes) site.look(at, name);
  const entry: Interface = unseen ? { name } : { name, mac: formatMac(site.link(at, name).mac) };
  if (at === 'container') entry.sandbox = site.request.netns;
  return entry;
}

/** What IPAM gave. It knows no link, whatever it says of one: all of it is for the one that is made. */
function withoutLinks(given: Result): Result {
  if (!given.interfaces?.length) return given;
  const { interfaces: _, ips = [], ...rest } = given;
  return { ...rest, ips: ips.map(({ interface: __, ...ip }) => ip) };
}

function partsOf({ before, after }: Plan, recorded: Result): Resource[] {
  return [...before, ...(after?.(recorded).resources ?? [])];
}
