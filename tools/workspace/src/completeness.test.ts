/** What is easily forgotten, each with what to do about it. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { registryPath, registryText } from '@cni-ts/bundle/registry';
import { packages, pluginFolders, workspaceRoot } from '@cni-ts/bundle/workspace';
import { describe, expect, test, vi } from 'vitest';
import { configFields } from './config-fields.ts';

/** Schemas by plugin type, noted as the plugins' modules are loaded: a finished plugin does not tell its schema. */
const schemas = vi.hoisted(() => new Map<string, unknown>());
vi.mock('@cni-ts/skeleton/plugin', async (load) => {
  const original = await load<typeof import('@cni-ts/skeleton/plugin')>();
  const definePlugin = (definition: { type: string; config: unknown }) => {
    const { config } = definition;
    schemas.set(definition.type, typeof config === 'function' ? config() : config);
    return original.definePlugin(definition as never); // reason: handed on as it came
  };
  return { ...original, definePlugin };
});

const read = (...path: string[]): string => readFileSync(join(workspaceRoot, ...path), 'utf8');
const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: workspaceRoot, encoding: 'utf8' }).split('\0');

describe.each(pluginFolders())('plugin $name', ({ name, kind, folder, exportName }) => {
  const inFolder = (file: string) => join(folder, file);

  test('exports its plugin under its own name, from a file of its own name', async () => {
    const module: Record<string, unknown> = await import(inFolder(`src/${name}.ts`));
    expect(module[exportName], `export const ${exportName} = definePlugin(…)`).toMatchObject({
      type: name,
    });
  });

  test('has src/main.ts, the entry of its bundle', () => {
    expect(readFileSync(inFolder('src/main.ts'), 'utf8')).toContain(`main(${exportName})`);
  });

  test('calls the conformance suite in a test', () => {
    const tests = globSync('src/**/*.test.ts', { cwd: folder }).map((file) =>
      readFileSync(inFolder(file), 'utf8'),
    );
    const suite = kind === 'ipam' ? 'ipamConformance' : 'conformance';
    const called = new RegExp(`\\b${suite}\\(${exportName},`);
    expect(
      tests.some((text) => called.test(text)),
      `${suite}(${exportName}, [ … ]) in src/${name}.test.ts`,
    ).toBe(true);
  });

  test('has an example configuration that calls it', () => {
    const examples = globSync('examples/*.conflist', { cwd: folder });
    expect(examples, `examples/${name}.conflist`).not.toEqual([]);
    for (const example of examples) {
      const list = JSON.parse(readFileSync(inFolder(example), 'utf8'));
      expect(list, example).toMatchObject({ cniVersion: expect.any(String), name: expect.any(String) });
      expect(JSON.stringify(list.plugins), example).toContain(`"type":"${name}"`);
    }
  });

  test('has a README whose table has a row for every config field', async () => {
    expect(existsSync(inFolder('README.md')), `write ${name}/README.md`).toBe(true);
    await import(inFolder(`src/${name}.ts`));
    const rows = readFileSync(inFolder('README.md'), 'utf8').match(/^\|.*$/gm) ?? [];
    const fields = configFields(schemas.get(name));
    expect(fields.filter((field) => !rows.some((row) => new RegExp(`\\b${field}\\b`).test(row)))).toEqual([]);
  });

  test('is in the table of the root README', () => {
    const readme = existsSync(join(workspaceRoot, 'README.md')) ? read('README.md') : '';
    expect(readme.match(/^\|.*$/gm)?.join('\n') ?? '').toMatch(new RegExp(`\\b${name}\\b`));
  });
});

test('the registry of the multi-call program is as the plugin folders are: `npm run build` writes it', () => {
  expect(read(registryPath)).toBe(registryText());
});

test('the multi-call program declares every plugin', () => {
  const { dependencies } = JSON.parse(read('packages/multicall/package.json'));
  expect(Object.keys(dependencies)).toEqual(
    expect.arrayContaining(pluginFolders().map(({ name }) => `@cni-ts/${name}`)),
  );
});

test('package-lock.json has what every package.json asks for: `npm install` brings it up to date', () => {
  const { packages: locked } = JSON.parse(read('package-lock.json'));
  for (const { path, manifest } of packages()) {
    expect(locked[path], path).toBeDefined();
    for (const kind of ['dependencies', 'devDependencies'] as const) {
      expect(locked[path][kind] ?? {}, `${kind} of ${path}`).toEqual(manifest[kind] ?? {});
    }
  }
});

test('package-lock.json names no registry: .npmrc has omit-lockfile-registry-resolved', () => {
  expect(read('package-lock.json')).not.toMatch(/"resolved": "https?:/);
});

test('no file names a registry, a mirror or a home directory', () => {
  const pattern = /https?:\/\/(registry|npm|deb|mirror|proxy)[\w.-]*\.[a-z]+|\/home\/[a-z]+\//;
  const texts = tracked.filter(
    (file) => /\.(ts|js|json|md|sh|ya?ml)$|^[^.]*$|npmrc$/.test(file) && file !== '',
  );
  const guilty = texts.filter((file) => existsSync(join(workspaceRoot, file)) && pattern.test(read(file)));
  expect(guilty.filter((file) => !file.endsWith('completeness.test.ts'))).toEqual([]);
});
