/**
 * JSON Schemas of configurations, for editors: of a list, and of each plugin, draft-07 (which SchemaStore and most editors
 * take) and 2020-12. They are made of the plugins' own zod schemas; descriptions and defaults come from their READMEs,
 * examples from their examples. Nothing of it is in a plugin.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ipamFenceSchema, ipamImportSchema, ipamSpacesSchema } from '@cni-ts/cli/cluster-report-schemas';
import { inspectSchema } from '@cni-ts/cli/inspect/picture-schema';
import { doctorSchema, explainSchema } from '@cni-ts/cli/node-report-schemas';
import {
  gcSchema,
  installSchema,
  ipamCheckSchema,
  ipamReleaseSchema,
  ipamShowSchema,
  ipamWhySchema,
  listSchema,
  planSchema,
  repairSchema,
  timelineSchema,
  traceSchema,
  validateSchema,
} from '@cni-ts/cli/report-schemas';
import { specVersions } from '@cni-ts/spec/released-versions';
import * as z from 'zod/mini';
import { namedSchemas } from './config-shapes.ts';
import { readmeFields } from './readme-fields.ts';
import { hasSource, pluginFolders, workspaceRoot } from './workspace.ts';

/** A JSON Schema, or a part of one. */
export interface JsonSchema {
  [keyword: string]: unknown;
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  description?: string;
  default?: unknown;
  examples?: unknown[];
}

export const drafts = { 'draft-7': '', 'draft-2020-12': '2020-12' } as const;
export type Draft = keyof typeof drafts;

/** Fields that mean the same in every plugin, and have no row in a README. */
const everywhere: Readonly<Record<string, string>> = {
  cniVersion: 'version of the CNI specification that the configuration is written for',
  name: 'name of the network: letters, digits, "_", "." and "-"',
  type: 'name of the plugin: of its executable in the folders of CNI_PATH',
  capabilities: 'values that the runtime hands to this plugin for each container, by name',
  ipam: 'the plugin that gives the addresses, and what it works by',
  dns: "what goes into the result for the container's resolver",
  nameservers: 'addresses of name servers, the first one asked first',
  domain: 'the local domain, for short names',
  search: 'domains to look for short names in',
  options: 'options of the resolver, as in resolv.conf(5)',
  prevResult: 'result of the plugin before; the runtime writes it',
  runtimeConfig: 'values of capabilities; the runtime writes it',
  args: "further arguments; args.cni is the convention's part",
  cni: 'arguments of the convention',
  routes: 'routes of the container',
  dst: 'destination with prefix length, such as 0.0.0.0/0',
  gw: 'next hop; without it the gateway of the address',
  mtu: 'largest packet in bytes',
  advmss: 'largest TCP segment that is told to peers',
  priority: 'metric: the lowest of several routes is taken',
  table: 'number of the routing table',
  scope: 'how far away the destination is: 0 anywhere, 253 on the link, 254 on this host',
  ips: 'addresses that are asked for',
  mac: 'MAC address',
  ipRanges: 'range sets, as in ipam.ranges',
  portMappings: 'ports to publish',
  bandwidth: 'limits of the container',
  id: 'a VLAN ID, 1 to 4094',
  minID: 'the first VLAN ID of a range',
  maxID: 'the last VLAN ID of a range',
};

const keysOfList: Readonly<Record<string, JsonSchema>> = {
  $schema: { type: 'string', description: 'for editors; runtimes and plugins pass over it' },
  cniVersion: {
    type: 'string',
    enum: [...specVersions],
    description: everywhere.cniVersion ?? '',
    default: '0.1.0',
    examples: ['1.0.0'],
  },
  cniVersions: {
    type: 'array',
    items: { type: 'string' },
    description: 'versions the list works with: a runtime takes the highest that it knows',
    examples: [['0.4.0', '1.0.0']],
  },
  name: {
    type: 'string',
    pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]*$',
    description: everywhere.name ?? '',
    examples: ['podnet'],
  },
  disableCheck: onOff('runtimes do not ask whether attachments are as they were made'),
  disableGC: onOff('runtimes do not ask plugins to collect what nobody uses'),
  loadOnlyInlinedPlugins: onOff(
    'plugins of the folder beside the file that has the name of the network are not added',
  ),
};

function onOff(description: string): JsonSchema {
  return { type: ['boolean', 'string'], enum: [true, false, 'true', 'false'], description, default: false };
}

/** Every schema by the name of its file. */
export async function configSchemas(
  draft: Draft,
  root: string = workspaceRoot,
): Promise<Map<string, JsonSchema>> {
  const named = await namedSchemas(root);
  const files = new Map<string, JsonSchema>();
  const plugins = new Map<string, JsonSchema>();
  const ipams: Record<string, JsonSchema> = {};
  for (const { name, kind, folder } of pluginFolders(root).filter(hasSource)) {
    const schema = named.find((one) => one.name === name)?.schema();
    if (!schema) continue;
    const made = pluginSchema(schema, name, folder, draft);
    plugins.set(name, made);
    const { ipam } = made.properties ?? {};
    if (kind !== 'ipam' || !ipam) continue;
    ipam.properties = {
      type: { type: 'string', description: everywhere.type ?? '', examples: [name] },
      ...ipam.properties,
    };
    ipams[name] = { type: 'object', ...ipam };
  }
  const base = headOf(draft);
  const definitions = Object.fromEntries(Object.entries(ipams).map(([name, one]) => [`ipam-${name}`, one]));
  for (const [name, { $schema: _, ...made }] of plugins) {
    files.set(name, {
      ...base,
      title: `Configuration of the CNI plugin ${name}`,
      ...withIpam(made, ipams),
      [base.key]: definitions,
    });
  }
  const bodies = Object.fromEntries(
    [...plugins].map(([name, { $schema: _, ...made }]) => [name, withIpam(made, ipams)]),
  );
  files.set('conflist', listOf(base, { ...definitions, ...bodies }, [...plugins.keys()], examplesOf(root)));
  for (const [name, schema] of [
    ['cnitool-validate', validateSchema()],
    ['cnitool-list', listSchema()],
    ['cnitool-timeline', timelineSchema()],
    ['cnitool-trace', traceSchema()],
    ['cnitool-install', installSchema()],
    ['cnitool-gc', gcSchema()],
    ['cnitool-ipam-check', ipamCheckSchema()],
    ['cnitool-ipam-fence', ipamFenceSchema()],
    ['cnitool-ipam-import', ipamImportSchema()],
    ['cnitool-ipam-release', ipamReleaseSchema()],
    ['cnitool-ipam-show', ipamShowSchema()],
    ['cnitool-ipam-spaces', ipamSpacesSchema()],
    ['cnitool-ipam-why', ipamWhySchema()],
    ['cnitool-plan', planSchema()],
    ['cnitool-repair', repairSchema()],
    ['cnitool-explain', explainSchema()],
    ['cnitool-doctor', doctorSchema()],
    ['cnitool-inspect', inspectSchema()],
  ] as const) {
    files.set(name, { ...z.toJSONSchema(schema, { target: draft }) } as JsonSchema); // reason: what zod makes is one
  }
  for (const schema of files.values()) delete schema.key;
  return files;
}

/** The keyword that definitions stand under changed with the drafts. */
function headOf(draft: Draft): { $schema: string; key: string } {
  return draft === 'draft-7'
    ? { $schema: 'http://json-schema.org/draft-07/schema#', key: 'definitions' }
    : { $schema: 'https://json-schema.org/draft/2020-12/schema', key: '$defs' };
}

function pluginSchema(schema: z.core.$ZodType, name: string, folder: string, draft: Draft): JsonSchema {
  const made = z.toJSONSchema(schema, {
    target: draft,
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // Whole numbers beyond what JavaScript has.
      if (zodSchema._zod.def.type === 'bigint') Object.assign(jsonSchema, { type: 'integer', minimum: 0 });
      // Says nothing that JSON does not.
      if (jsonSchema.propertyNames) delete jsonSchema.propertyNames;
    },
  }) as JsonSchema; // reason: what zod makes is one
  const fields = readmeFields(readFileSync(join(folder, 'README.md'), 'utf8'));
  const example = examplesIn(folder)
    .flatMap(pluginsIn)
    .find((one) => isOf(one, name));
  describe(made, [], fields, name);
  const { properties = {} } = made;
  properties.type = {
    ...properties.type,
    type: 'string',
    description: everywhere.type ?? '',
    examples: [name],
  };
  for (const [key, value] of Object.entries(example ?? {})) {
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (property && key !== 'type') property.examples = [value];
  }
  return { ...made, properties, ...(example && { examples: [example] }) };
}

function isOf(plugin: Record<string, unknown>, name: string): boolean {
  const { type, ipam } = plugin;
  return type === name || (typeof ipam === 'object' && ipam !== null && 'type' in ipam && ipam.type === name);
}

/** A row of the whole path, of the name, what it means everywhere, or what the object says that it stands in. */
function describe(
  schema: JsonSchema,
  path: readonly string[],
  fields: ReturnType<typeof readmeFields>,
  above: string,
): void {
  for (const part of [schema.items, ...alternatives(schema)]) if (part) describe(part, path, fields, above);
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const own = [...path, key];
    const isTop = path.length === 0 || (path.length === 1 && path[0] === 'ipam');
    const named = isTop || !Object.hasOwn(everywhere, key) ? fields.get(key) : undefined;
    // What lies deep is told in a later table.
    const rows = fields.get(own.join('.')) ?? named;
    const row = isTop ? rows?.[0] : rows?.at(-1);
    property.description = row?.description ?? everywhere[key] ?? `part of: ${above}`;
    if (row?.default !== undefined && fits(row.default, property)) property.default = row.default;
    describe(property, own, fields, property.description);
  }
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  const all = schema.anyOf ?? schema.oneOf ?? [];
  return Array.isArray(all) ? (all as JsonSchema[]) : []; // reason: by its keyword
}

function fits(value: unknown, { type }: JsonSchema): boolean {
  const types = Array.isArray(type) ? type : [type];
  const own = typeof value === 'number' ? ['integer', 'number'] : [typeof value];
  return types.some((one) => own.includes(one ?? ''));
}

/** What stands in `ipam` is the IPAM plugin's. */
function withIpam(plugin: JsonSchema, ipams: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const { properties = {} } = plugin;
  const { ipam } = properties;
  // Of an IPAM plugin itself it is its own.
  if (!ipam || Object.values(ipams).some((one) => one.properties === ipam.properties)) return plugin;
  return {
    ...plugin,
    properties: {
      ...properties,
      ipam: { ...ipam, allOf: Object.keys(ipams).map((name) => onlyIf(name, `ipam-${name}`)) },
    },
  };
}

/** `$ref` is put right at the end, by the draft. */
function onlyIf(type: string, definition: string): JsonSchema {
  const test = { properties: { type: { const: type } }, required: ['type'] };
  return Object.fromEntries([
    ['if', test],
    ['then', { $ref: `#/definitions/${definition}` }],
  ]);
}

function listOf(
  base: { $schema: string; key: string },
  definitions: Record<string, JsonSchema>,
  types: readonly string[],
  examples: readonly unknown[],
): JsonSchema {
  const plugin: JsonSchema = {
    type: 'object',
    required: ['type'],
    properties: {
      type: { type: 'string', minLength: 1, description: everywhere.type ?? '', examples: [...types] },
    },
    allOf: types.map((name) => onlyIf(name, name)),
  };
  return {
    ...base,
    title: 'CNI network configuration list',
    description: 'A network: the plugins that make it, in order (CNI specification, section 1)',
    type: 'object',
    required: ['name', 'plugins'],
    properties: {
      ...keysOfList,
      plugins: {
        type: 'array',
        minItems: 1,
        items: plugin,
        description: 'the plugins, in the order of their ADD',
      },
    },
    examples: [...examples],
    [base.key]: definitions,
  };
}

function examplesIn(folder: string): unknown[] {
  return globSync('examples/*.conflist', { cwd: folder })
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')));
}

function examplesOf(root: string): unknown[] {
  const bridge = pluginFolders(root).find(({ name }) => name === 'portmap');
  return bridge ? examplesIn(bridge.folder) : [];
}

function pluginsIn(list: unknown): Record<string, unknown>[] {
  // Our own files; a test holds them to the schemas.
  return (list as { plugins?: Record<string, unknown>[] }).plugins ?? [];
}

/** dist/schemas, and the newer draft in a folder of it. */
export async function writeSchemas(root: string = workspaceRoot): Promise<number> {
  const folder = join(root, 'dist/schemas');
  rmSync(folder, { recursive: true, force: true });
  let files = 0;
  for (const [draft, below] of Object.entries(drafts) as [Draft, string][]) {
    mkdirSync(join(folder, below), { recursive: true });
    for (const [name, schema] of await configSchemas(draft, root)) {
      writeFileSync(join(folder, below, `${name}.json`), textOf(schema, draft));
      files++;
    }
  }
  return files;
}

/** As it is written: references go to where the draft has definitions. */
export function textOf(schema: JsonSchema, draft: Draft): string {
  const text = JSON.stringify(schema, undefined, 2);
  return `${draft === 'draft-7' ? text : text.replaceAll('"#/definitions/', '"#/$defs/')}\n`;
}
