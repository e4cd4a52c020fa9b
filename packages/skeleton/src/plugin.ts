import type { NamespaceId } from '@cni-ts/libc/netns';
import { specVersions } from '@cni-ts/spec/released-versions';
import type { Result } from '@cni-ts/spec/result';
import type * as z from 'zod/mini';
import { readConfigOf } from './config.ts';
import type { Undo } from './undo.ts';

/** The commands that reach a plugin's own code; VERSION is answered by the skeleton. */
export type Verb = 'add' | 'check' | 'del' | 'gc' | 'status';

/** One interface of one container: what ADD makes and DEL removes. */
export interface Attachment {
  readonly containerId: string;
  readonly ifname: string;
}

/** A plugin this one hands part of its work to, in practice its IPAM plugin. Every verb gets the configuration as
 *  it was received. Errors carry the delegate's own code, message and details. */
export interface Delegate {
  /** Its result in the newest form. From here on the undo list holds the delegate's DEL. When the delegate fails,
   *  its DEL has been run before the error gets here. */
  add(): Promise<Result>;
  check(): Promise<void>;
  del(): Promise<void>;
  gc(): Promise<void>;
  status(): Promise<void>;
  /** Undefined where it cannot tell: a plugin of another program. */
  plan(): Promise<DryRun | undefined>;
  /** What it put right; nothing where it is a plugin of another program. */
  repair(): Promise<readonly string[]>;
}

/** One line of a dry run. */
export interface Change {
  /** `+` is made; `~` is there and changed. */
  readonly sign: '+' | '~';
  readonly text: string;
}

/** What an ADD would do. */
export interface DryRun {
  readonly changes: readonly Change[];
  /** What it would answer, as far as that is known before: a link that is not there yet has no MAC. */
  readonly result: Result;
  /** What might fail it, and cannot be known without a change. */
  readonly notes?: readonly string[];
}

/** One call of a plugin, checked: environment, network name and spec version are valid when a verb sees it. */
export interface Request<C> {
  /** CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME and CNI_ARGS as received, '' when absent. GC and STATUS have none. */
  readonly containerId: string;
  readonly netns: string;
  /** CNI_NETNS may be the plugin's own namespace. Whoever opens it goes through own-netns.ts, which knows. */
  readonly netnsOverride: boolean;
  /** The plugin's own namespace, where that is not simply that of the running thread. */
  readonly ownNetns: (() => NamespaceId | undefined) | undefined;
  readonly ifname: string;
  readonly args: string;
  /** Name of the network; safe as a file name. */
  readonly network: string;
  /** Spec version of the configuration; 0.1.0 where the configuration has none. */
  readonly cniVersion: string;
  /** The configuration by the plugin's schema. Read at first use, so that a verb that needs none cannot fail on it. */
  readonly config: C;
  readonly json: Readonly<Record<string, unknown>>;
  /** The configuration's text as received; what delegates get. */
  readonly stdin: string;
  /** Result of the plugins before this one, in the newest form; undefined when there is none. Decoded at first
   *  use: `could not parse prevResult: …` when it does not fit the configuration's version. */
  readonly prevResult: Result | undefined;
  /** What this ADD has made. Run by the skeleton when ADD fails, cannot be answered, or is told to stop. */
  readonly undo: Undo;
  /** GC: what must stay. Throws when the configuration has no such list, for then everything would go. */
  readonly validAttachments: readonly Attachment[];
  ipam(type: string): Delegate;
  /** Releases something (a descriptor) when the call is over, undo included; last registered, first released. */
  onEnd(release: () => void): void;
  /** One line for the operator's log (stderr). */
  log(line: string): void;
}

/** A request before the configuration is read by a plugin's schema. */
export type RawRequest = Omit<Request<unknown>, 'config'>;

/** A plugin with its configuration type erased: what registries and the protocol handle. */
export interface Plugin {
  readonly type: string;
  readonly about: string;
  readonly versions: readonly string[];
  /** What its configuration must look like: for the build, which compiles it. */
  readonly schema?: () => z.core.$ZodType;
  /** Runs one verb; only ADD has a result. */
  run(verb: Verb, request: RawRequest): Promise<Result | undefined>;
  /** Reads the configuration's text, where JSON.parse does not keep all that the schema asks for. */
  readonly readJson?: (text: string) => unknown;
  /** Reads the configuration as ADD would, and throws what ADD would refuse it for before it does anything. */
  readConfig?(request: RawRequest): void;
  /** Beyond the specification (CNI_COMMAND=PLAN and REPAIR), where a plugin can. */
  plan?(request: RawRequest): Promise<DryRun>;
  repair?(request: RawRequest): Promise<readonly string[]>;
  /** What the executable is besides, by its first argument: a service that stays. It gets the other arguments, and its
   *  answer is the exit status. */
  readonly services?: Readonly<Record<string, (args: readonly string[]) => Promise<number>>>;
}

/** Every verb is required: a plugin that has nothing to do for GC says so in its source. */
export interface Definition<S extends z.core.$ZodType, C> {
  /** Name of the executable, as `type` in configurations. */
  type: string;
  /** Shown to whoever starts the plugin by hand; '' for nothing. Default: `CNI plugin ‹type› v‹version›`. */
  about?: string;
  /** Spec versions understood; default all. */
  versions?: readonly string[];
  /** zod/mini schema, or a function making it, so that VERSION does not pay for a big one. */
  config: S | (() => S);
  /** Reads the configuration's text, where JSON.parse does not keep all that the schema asks for. */
  readJson?: (text: string) => unknown;
  /** What errors about the shape start with. Default: `failed to load netconf`. */
  configError?: string;
  /** Cross-field rules and defaults: from the shape to the value all verbs work with. */
  parse?: ((raw: z.output<S>, request: RawRequest) => C) | undefined;
  /** Throws what ADD refuses of a configuration that could be read, for VALIDATE. It looks at nothing else. */
  refuse?: ((config: C, request: RawRequest) => void) | undefined;
  add(request: Request<C>): Result | Promise<Result>;
  check(request: Request<C>): void | Promise<void>;
  del(request: Request<C>): void | Promise<void>;
  gc(request: Request<C>): void | Promise<void>;
  status(request: Request<C>): void | Promise<void>;
  /** A dry run of ADD: what it would make and change on this host. Nothing is touched. */
  plan?(request: Request<C>): DryRun | Promise<DryRun>;
  /** Makes what CHECK would complain of so again, and tells what that was; what is as it must be is not touched. */
  repair?(request: Request<C>): readonly string[] | Promise<readonly string[]>;
  /** As Plugin's. */
  services?: Plugin['services'];
}

/** Version of these plugins, as in package.json. */
export const pluginVersion = '0.1.0';

/** Makes a plugin of its verbs. With `parse`, verbs see what it returns as `request.config`; without, what the schema
 *  reads. Errors of either are the verb's own, at its first look at `request.config`. */
export function definePlugin<S extends z.core.$ZodType, C>(
  definition: Definition<S, C> & { parse: (raw: z.output<S>, request: RawRequest) => C },
): Plugin;
export function definePlugin<S extends z.core.$ZodType>(
  definition: Definition<S, z.output<S>> & { parse?: undefined },
): Plugin;
export function definePlugin<S extends z.core.$ZodType, C>(definition: Definition<S, C>): Plugin {
  const { plan, repair, services } = definition;
  const withOwnConfig = (raw: RawRequest) => withConfig(raw, () => configOf(definition, raw));
  return {
    type: definition.type,
    about: definition.about ?? `CNI plugin ${definition.type} v${pluginVersion}`,
    versions: definition.versions ?? specVersions,
    schema: () => schemaOf(definition),
    ...(definition.readJson && { readJson: definition.readJson }),
    readConfig(raw) {
      const { config } = withOwnConfig(raw);
      definition.refuse?.(config, raw);
    },
    async run(verb, raw) {
      const request = withOwnConfig(raw);
      if (verb === 'add') return await definition.add(request);
      await definition[verb](request);
      return undefined;
    },
    ...(plan && { plan: async (raw) => plan(withOwnConfig(raw)) }),
    ...(repair && { repair: async (raw) => repair(withOwnConfig(raw)) }),
    ...(services && { services }),
  };
}

function configOf<S extends z.core.$ZodType, C>(definition: Definition<S, C>, request: RawRequest): C {
  const json = definition.readJson?.(request.stdin) ?? request.json;
  const shape = readConfigOf(definition.type, () => schemaOf(definition), json, definition.configError);
  // Without `parse` the overloads make C the schema's own output.
  return definition.parse ? definition.parse(shape, request) : (shape as C);
}

function schemaOf<S extends z.core.$ZodType, C>({ config }: Definition<S, C>): S {
  return typeof config === 'function' ? config() : config;
}

/** An own getter on a copy that keeps the other getters lazy. */
function withConfig<C>(raw: RawRequest, read: () => C): Request<C> {
  let known: { config: C } | undefined;
  const request = Object.defineProperties({}, Object.getOwnPropertyDescriptors(raw));
  Object.defineProperty(request, 'config', {
    enumerable: true,
    get() {
      known ??= { config: read() };
      return known.config;
    },
  });
  // TypeScript does not follow defineProperty; the members are those of RawRequest plus `config`.
  return request as Request<C>;
}
