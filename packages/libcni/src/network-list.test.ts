import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { networkListFromFile, parseNetworkList } from './network-list.ts';
import { parsePluginConfig, pluginConfigFromFile } from './plugin-config.ts';

const list = (json: unknown) => parseNetworkList(Buffer.from(JSON.stringify(json)));
const withPlugin = (json: object) => list({ name: 'n', plugins: [{ type: 'p' }], ...json });

describe('one plugin object', () => {
  test('needs a type (protocol 63)', () => {
    expect(() => parsePluginConfig(Buffer.from('{"name":"n"}'))).toThrow(
      /^error parsing configuration: missing 'type'$/,
    );
    expect(parsePluginConfig(Buffer.from('{"name":"n","type":"p"}')).type).toBe('p');
  });

  test('without a type inside a list is named by its index (protocol 63)', () => {
    expect(() => list({ name: 'n', plugins: [{ type: 'p' }, { name: 'x' }] })).toThrow(
      /^failed to parse plugin config 1: error parsing configuration: missing 'type'$/,
    );
  });

  test('refuses a capability that is no boolean (protocol 38)', () => {
    const bytes = Buffer.from('{"type":"p","capabilities":{"mac":"true"}}');
    expect(() => parsePluginConfig(bytes)).toThrow(/^error parsing configuration: capabilities\.mac: /);
  });

  test('is named when it cannot be read (protocol 69)', () => {
    expect(() => pluginConfigFromFile('/none/a.conf')).toThrow(/^error reading \/none\/a\.conf: /);
  });
});

describe('the members of a list', () => {
  const refused: [what: string, json: unknown, text: string | RegExp][] = [
    ['null', null, 'no name'],
    ['no name', {}, 'no name'],
    ['a name that is null', { name: null }, 'invalid name type <nil>'],
    ['a version that is a number', { name: 'n', cniVersion: 1 }, 'invalid cniVersion type float64'],
    [
      'versions that are no list',
      { name: 'n', cniVersions: '1.0.0' },
      'invalid type for cniVersions: []interface {}',
    ],
    [
      'a version in the list that is an object',
      { name: 'n', cniVersions: [{}] },
      'invalid type for cniVersions index 0: map[string]interface {}',
    ],
    ['plugins that are no list', { name: 'n', plugins: true }, "invalid 'plugins' type bool"],
  ];
  test.each(refused)('%s is refused', (_what, json, text) => {
    expect(() => list(json)).toThrow(`error parsing configuration list: ${text}`);
  });

  test('a list that is no JSON is refused', () => {
    expect(() => parseNetworkList(Buffer.from('{'))).toThrow(/^error parsing configuration list: /);
    expect(() => list([])).toThrow(/^error parsing configuration list: /);
  });

  test('a switch may be spelled as a word in any letter case (protocol 64)', () => {
    expect(withPlugin({ disableCheck: 'TRUE' }).disableCheck).toBe(true);
    expect(withPlugin({ disableCheck: 'False' }).disableCheck).toBe(false);
    expect(() => withPlugin({ disableCheck: 'Foo' })).toThrow(
      /^error parsing configuration list: invalid value "foo" for disableCheck$/,
    );
    expect(() => withPlugin({ disableCheck: 1 })).toThrow(
      /^error parsing configuration list: invalid type float64 for disableCheck$/,
    );
  });

  test('an empty list of plugins is refused, and none at all with loadOnlyInlinedPlugins (protocol 65)', () => {
    expect(() => list({ name: 'n', plugins: [] })).toThrow(
      /^error parsing configuration list: no plugins in list$/,
    );
    expect(() => list({ name: 'n', loadOnlyInlinedPlugins: true })).toThrow(
      /^error parsing configuration list: `loadOnlyInlinedPlugins` is true, and no 'plugins' key$/,
    );
    expect(list({ name: 'n' }).plugins).toEqual([]);
  });

  test('the highest version that we speak is chosen (protocol 68)', () => {
    const chosen = (json: object) => withPlugin(json).cniVersion;
    expect(chosen({ cniVersions: ['99.0.0', '1.1.0', '0.4.0'] })).toBe('1.1.0');
    expect(chosen({ cniVersion: '1.0.0', cniVersions: ['0.1.0', '0.4.0'] })).toBe('1.0.0');
    expect(chosen({ cniVersion: '1.2.3' })).toBe('1.2.3');
    expect(chosen({ cniVersions: [] })).toBe('');
    expect(chosen({ cniVersion: '9.0.0', cniVersions: ['8.0.0'] })).toBe('9.0.0');
    expect(chosen({ cniVersions: ['1', '0.4.0'] })).toBe('1');
    expect(() => chosen({ cniVersions: ['1.0.f'] })).toThrow(
      /^error parsing configuration list: invalid cniVersions entry 1\.0\.f at index 0: failed to convert micro version part "f": /,
    );
    expect(() => chosen({ cniVersion: 'x', cniVersions: ['1.0.0'] })).toThrow(
      /^error parsing configuration list: invalid cniVersion x: /,
    );
  });
});

describe('plugins in the folder beside the file', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'cni-list-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const put = (name: string, json: unknown) => {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof json === 'string' ? json : JSON.stringify(json));
    return path;
  };
  const types = (path: string) => networkListFromFile(path).plugins.map(({ type }) => type);

  test('follow the inlined ones in order of file name (protocol 66)', () => {
    const path = put('n.conflist', { name: 'net' });
    put('net/20-b.conf', { type: 'b' });
    put('net/10-a.conf', { type: 'a' });
    put('net/05.json', { type: 'never' });
    expect(types(path)).toEqual(['a', 'b']);
    put('n.conflist', { name: 'net', plugins: [{ type: 'inlined' }] });
    expect(types(path)).toEqual(['inlined', 'a', 'b']);
  });

  test('are ignored with loadOnlyInlinedPlugins, broken ones too (protocol 67)', () => {
    const inlined = { name: 'net', plugins: [{ type: 'inlined' }] };
    const path = put('n.conflist', { ...inlined, loadOnlyInlinedPlugins: true });
    put('net/10-a.conf', '{');
    expect(types(path)).toEqual(['inlined']);
    put('n.conflist', { ...inlined, loadOnlyInlinedPlugins: false });
    expect(() => types(path)).toThrow(/^error parsing configuration: /);
  });

  test('a folder that cannot be listed is an error, a missing one is not', () => {
    const path = put('n.conflist', { name: 'net', plugins: [{ type: 'inlined' }] });
    expect(types(path)).toEqual(['inlined']);
    put('net', 'a file');
    expect(() => types(path)).toThrow(`failed to read plugin config files in ${join(dir, 'net')}: `);
  });

  test('no plugin anywhere is an error', () => {
    expect(() => types(put('n.conflist', { name: 'net' }))).toThrow(/^no plugin configs found$/);
  });

  test('a file that cannot be read is named (protocol 69)', () => {
    expect(() => networkListFromFile('/none/a.conflist')).toThrow(/^error reading \/none\/a\.conflist: /);
  });
});
