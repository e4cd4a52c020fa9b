/** A chained plugin as one value: what it adds to what stands before it, from which its verbs follow. */
import { definePlugin, type Plugin, type RawRequest } from '@cni-ts/skeleton/plugin';
import { CniError, cannotServe, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { tryAll } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import type * as z from 'zod/mini';
import { changesOf, ensureAll, foreseeAll, repairAll } from './engine.ts';
import type { Lasting, Resource } from './resource.ts';
import { Site } from './site.ts';
import { checkAll, collectionOf, removalOf, validConfig } from './verbs.ts';

/** What must be so for one attachment. */
export interface ChainedPlan {
  readonly resources: readonly Resource[];
  /** The result of the plugins before this one, edited; without it that is handed on as it is. Asked for once all is
   *  made; in a dry run when nothing is yet. */
  readonly result?: (() => Result) | undefined;
}

export interface ChainedPlugin<S extends z.core.$ZodType, C> {
  readonly type: string;
  readonly config: S | (() => S);
  /** As of definePlugin. */
  readonly configError?: string;
  readonly readJson?: (text: string) => unknown;
  readonly parse: (raw: z.output<S>, request: RawRequest) => C;
  /** ADD without a prevResult, and CHECK without where that has other words. */
  readonly missing: string;
  readonly missingInCheck?: string;
  /** As of definePlugin. */
  readonly refuse?: (config: C, request: RawRequest) => void;
  /** What ADD and REPAIR cannot do, whatever stands before it; STATUS asks too. May look at the host, changes nothing. */
  readonly check?: (config: C, site: Site) => void;
  /** What STATUS asks besides. */
  readonly status?: (config: C, site: Site) => void;
  /** `previous`: in ADD the result of the plugins before this one, in CHECK the result of the whole chain's ADD. */
  readonly plan: (config: C, site: Site, previous: Result) => ChainedPlan;
  /** What it leaves, in the order DEL takes it away. `config` reads the configuration, and has undefined for one that is
   *  not valid (any more): a container must be able to go all the same. Who asks for it not needs no valid one. */
  readonly lasting: (config: () => C | undefined, site: Site) => readonly Lasting[];
}

/**
 * Makes a plugin of it: ADD ensures the resources, CHECK tells what differs from them, a dry run which are not there yet,
 * REPAIR makes those that differ, DEL and GC take away what lasts.
 *
 *     export const quiet = chainedPlugin({
 *       type: 'quiet',
 *       config: schema,
 *       parse,
 *       missing: 'must be called as chained plugin',
 *       plan: ({ mtu }, { ifname }, previous) => ({
 *         resources: mtu ? [new Mtu('container', ifname, mtu)] : [],
 *         result: () => withMtu(previous, ifname, mtu),
 *       }),
 *       // What goes with the container's namespace needs no removal.
 *       lasting: () => [],
 *     });
 */
export function chainedPlugin<S extends z.core.$ZodType, C>(chained: ChainedPlugin<S, C>): Plugin {
  const { type, config, configError, readJson, parse, missing, missingInCheck = missing } = chained;
  return definePlugin<S, C>({
    type,
    config,
    ...(configError !== undefined && { configError }),
    ...(readJson && { readJson }),
    parse,
    refuse: chained.refuse,
    async add(request) {
      const site = new Site(request);
      const { config } = request;
      chained.check?.(config, site);
      const previous = required(request.prevResult, missing);
      const { resources, result } = chained.plan(config, site, previous);
      const making = ensureAll(site, resources);
      if (making) await making;
      return result ? result() : previous;
    },
    async check(request) {
      const site = new Site(request);
      const { config } = request;
      const previous = required(request.prevResult, missingInCheck);
      checkAll(site, chained.plan(config, site, previous).resources);
    },
    async plan(request) {
      const site = new Site(request);
      const { config } = request;
      chained.check?.(config, site);
      const previous = required(request.prevResult, missing);
      site.expect(previous);
      const { resources, result = () => previous } = chained.plan(config, site, previous);
      const notes: string[] = [];
      foreseeAll(site, resources, (text) => notes.push(text));
      return { changes: changesOf(site, resources), result: result(), notes };
    },
    async repair(request) {
      const site = new Site(request);
      const { config } = request;
      chained.check?.(config, site);
      const previous = required(request.prevResult, missingInCheck);
      const repaired = await repairAll(site, chained.plan(config, site, previous).resources);
      return repaired.map(({ text, detail }) => (detail === undefined ? text : `${text}; ${detail}`));
    },
    async del(request) {
      const site = new Site(request);
      await tryAll(
        removalOf(
          site,
          chained.lasting(() => validConfig(request), site),
        ),
      );
    },
    async gc(request) {
      const site = new Site(request);
      // Asked for first: without the list nothing may be done.
      const valid = request.validAttachments;
      await tryAll(
        collectionOf(
          site,
          chained.lasting(() => validConfig(request), site),
          valid,
        ),
      );
    },
    async status(request) {
      const site = new Site(request);
      try {
        const { config } = request;
        chained.check?.(config, site);
        chained.status?.(config, site);
      } catch (error) {
        if (error instanceof CniError && error.code === ErrorCode.pluginNotAvailable) throw error;
        throw cannotServe(type, errorText(error), '', error);
      }
    },
  });
}

function required(previous: Result | undefined, missing: string): Result {
  if (previous) return previous;
  throw new Error(missing);
}
