/** The schemas of dist/schemas, judged by a validator that is not ours. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { configSchemas, type Draft, drafts, type JsonSchema, textOf } from './config-schemas.ts';
import { workspaceRoot } from './workspace.ts';

const examples = globSync('packages/plugins/*/*/examples/*.conflist', { cwd: workspaceRoot });

describe.each(Object.keys(drafts) as Draft[])('%s', async (draft) => {
  const files = await configSchemas(draft);
  const written = (name: string) => JSON.parse(textOf(files.get(name) ?? {}, draft)) as JsonSchema; // reason: its own text
  const compiled = (name: string): ValidateFunction => {
    const options = { strict: true, strictTypes: false, strictRequired: false, allErrors: true } as const;
    return (draft === 'draft-7' ? new Ajv(options) : new Ajv2020(options)).compile(written(name));
  };
  const list = compiled('conflist');
  const complaints = (json: unknown) => {
    list(json);
    return (list.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`);
  };

  test.each([...files.keys()])('%s is a schema', (name) => {
    expect(compiled(name)).toBeTypeOf('function');
  });

  test.each(examples)('%s fits the schema of lists, and its plugins theirs', (file) => {
    const json = JSON.parse(readFileSync(join(workspaceRoot, file), 'utf8'));
    expect(complaints(json)).toEqual([]);
    for (const plugin of json.plugins) {
      const validate = compiled(plugin.type);
      expect(validate(plugin), JSON.stringify(validate.errors)).toBe(true);
    }
  });

  test("a value of the wrong kind is found in plugins and in what is their IPAM plugin's", () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: 10 }]] };
    const json = {
      cniVersion: '1.0.0',
      name: 'net',
      plugins: [
        { type: 'bridge', mtu: '1500', ipam },
        { type: 'other', mtu: '1' },
      ],
    };
    expect(complaints(json)).toEqual(
      expect.arrayContaining(['/plugins/0/mtu type', '/plugins/0/ipam/ranges/0/0/subnet type']),
    );
    expect(complaints(json).some((one) => one.startsWith('/plugins/1'))).toBe(false);
  });

  test('a name, a version and a list of plugins must be what they are', () => {
    const found = complaints({ cniVersion: '1.2.0', name: 'two words', plugins: [] });
    expect(found).toEqual(expect.arrayContaining(['/cniVersion enum', '/name pattern', '/plugins minItems']));
    expect(
      complaints({
        $schema: 'x',
        _comment: 'mine',
        name: 'net',
        plugins: [{ type: 'anything', 'x-own': 1 }],
      }),
    ).toEqual([]);
  });

  test('every field of every plugin has a description', () => {
    const bare: string[] = [];
    const look = (schema: JsonSchema, path: string): void => {
      if (schema.items) look(schema.items, `${path}[]`);
      for (const [key, property] of Object.entries(schema.properties ?? {})) {
        if (!property.description) bare.push(`${path}.${key}`);
        look(property, `${path}.${key}`);
      }
    };
    for (const [name, schema] of files) if (!name.startsWith('cnitool-')) look(schema, name);
    expect(bare).toEqual([]);
  });

  test('descriptions, defaults and examples are those of READMEs and examples', () => {
    const { properties, examples: own } = written('bridge');
    expect(properties?.bridge).toEqual({
      type: 'string',
      description: 'name of the bridge; created if it is not there, taken as it is otherwise',
      default: 'cni0',
      examples: ['cni0'],
    });
    expect(properties?.ipMasq?.default).toBe(false);
    expect(own).toHaveLength(1);
  });
});
