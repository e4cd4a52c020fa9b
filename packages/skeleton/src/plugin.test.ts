import { readFileSync } from 'node:fs';
import { specVersions } from '@cni-ts/spec/released-versions';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { networkConfig } from './config.ts';
import { callPlugin } from './dispatch.ts';
import { definePlugin, pluginVersion } from './plugin.ts';

const silent = { add: () => ({}), check() {}, del() {}, gc() {}, status() {} };

test('a plugin supports all versions and tells its name and version unless it says otherwise', () => {
  const plugin = definePlugin({ type: 'x', config: () => z.object(networkConfig), ...silent });
  expect(plugin.versions).toBe(specVersions);
  expect(plugin.about).toBe(`CNI plugin x v${pluginVersion}`);
});

test('the version told is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  expect(pluginVersion).toBe(version);
});

test('a verb gets what `parse` made of the shape, read once however often it looks', async () => {
  let parsed = 0;
  let seen: unknown;
  const plugin = definePlugin({
    type: 'x',
    config: () => z.object({ ...networkConfig, mtu: z.optional(z.int()) }),
    parse({ mtu = 1500 }, { ifname }) {
      parsed++;
      return { mtu, ifname };
    },
    ...silent,
    status({ config }) {
      const sum: number = config.mtu;
      seen = config;
      expect(sum).toBe(1500);
    },
    gc: (request) => {
      expect(request.config).toBe(request.config);
      const copy = { ...request, netns: '/elsewhere' };
      seen = [copy.config, copy.network];
    },
    del: () => {
      seen = 'nothing read';
    },
  });
  const run = (command: string) =>
    callPlugin(plugin, {
      env: { CNI_COMMAND: command, CNI_PATH: '/x', CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0' },
      readStdin: () => '{"name":"n","cniVersion":"1.1.0","cni.dev/valid-attachments":[]}',
      writeStdout() {},
      writeStderr() {},
    });
  expect(await run('STATUS')).toBe(0);
  expect(seen).toEqual({ mtu: 1500, ifname: 'eth0' });
  expect(await run('GC')).toBe(0);
  expect(seen).toEqual([{ mtu: 1500, ifname: 'eth0' }, 'n']);
  expect(parsed).toBe(2);
  expect(await run('DEL')).toBe(0);
  expect([seen, parsed]).toEqual(['nothing read', 2]);
});
