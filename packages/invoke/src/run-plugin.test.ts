import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { pluginError, printedResult, runPlugin } from './run-plugin.ts';

const root = mkdtempSync(join(tmpdir(), 'run-plugin-'));
afterAll(() => rmSync(root, { recursive: true }));

function executable(name: string, text: string, mode = 0o755): string {
  const path = join(root, name);
  writeFileSync(path, text, { mode });
  return path;
}

test('a plugin gets its configuration and exactly the given environment', async () => {
  const path = executable('echo', '#!/bin/sh\n/bin/cat; /usr/bin/env >&2');
  expect(await runPlugin(path, { CNI_COMMAND: 'DEL', GONE: undefined }, '{"a":1}')).toMatchObject({
    stdout: '{"a":1}',
    why: '',
    stderr: expect.stringMatching(/^CNI_COMMAND=DEL$/m),
  });
});

test('a plugin that does not read its configuration is judged by its status', async () => {
  const path = executable('deaf', '#!/bin/sh\nexec 0<&-; echo done');
  const outcome = await runPlugin(path, {}, 'x'.repeat(1_000_000));
  expect(outcome).toEqual({ stdout: 'done\n', stderr: '', why: '' });
});

test.each([
  ['a status', 'exit 3', 'exit status 3'],
  ['a signal', 'kill -KILL $$', 'signal: killed'],
  ['the signal of an interrupted runtime', 'kill -TERM $$', 'signal: terminated'],
])('%s is told in the words of the reference', async (_name, script, why) => {
  const path = executable('fails', `#!/bin/sh\n${script}\n`);
  expect((await runPlugin(path, {}, '')).why).toBe(why);
});

test('what cannot be started is told by the reason, and is not given to a shell', async () => {
  const why = async (path: string) => (await runPlugin(path, {}, '')).why;
  const plain = executable('plain', '#!/bin/sh\n', 0o644);
  expect(await why(plain)).toBe(`fork/exec ${plain}: permission denied`);
  expect(await why('/none')).toBe('fork/exec /none: no such file or directory');
  const script = executable('script', 'echo {}\n');
  expect(await why(script)).toBe(`fork/exec ${script}: exec format error`);
});

test('a plugin that is being written is tried again until it is complete', async () => {
  const path = executable('busy', '#!/bin/sh\necho here\n');
  const fd = openSync(path, 'r+');
  setTimeout(() => closeSync(fd), 60);
  expect(await runPlugin(path, {}, '', 40)).toEqual({ stdout: 'here\n', stderr: '', why: '' });
});

test('a plugin that stays busy fails after six attempts, and says so', async () => {
  const path = executable('stuck', '#!/bin/sh\necho here\n');
  const fd = openSync(path, 'r+');
  expect((await runPlugin(path, {}, '', 1)).why).toBe(`fork/exec ${path}: text file busy`);
  closeSync(fd);
});

const why = 'exit status 1';

test('a plugin that fails in silence is described by its status, or by its log', () => {
  expect(pluginError({ stdout: '', stderr: '', why })).toMatchObject({
    code: 0,
    message: 'netplugin failed with no error message: exit status 1',
  });
  expect(pluginError({ stdout: '', stderr: 'a "b"\n', why }).message).toBe(
    'netplugin failed: "a \\"b\\"\\n": exit status 1',
  );
});

test('the error a plugin printed is passed on', () => {
  const stdout = '{"cniVersion":"1.1.0","code":11,"msg":"m","details":"d"}';
  expect(pluginError({ stdout, stderr: 'log', why })).toMatchObject({ code: 11, message: 'm', details: 'd' });
  expect(pluginError({ stdout: '{}', stderr: '', why })).toMatchObject({ code: 0, message: '', details: '' });
  expect(pluginError({ stdout: 'null', stderr: '', why })).toMatchObject({ code: 0, message: '' });
});

test.each(['zz', '[]', '{"code":"x"}', '{"code":-1}', '{"msg":5}', '{}{}'])(
  'a diagnostic message %s is quoted as it is',
  (stdout) => {
    const { code, message } = pluginError({ stdout, stderr: '', why });
    const start = `netplugin failed but error parsing its diagnostic message ${JSON.stringify(stdout)}: `;
    expect(code).toBe(0);
    expect(message.startsWith(start)).toBe(true);
  },
);

test('a printed result without version is in that of the configuration', () => {
  expect(printedResult('null', '1.1.0')).toMatchObject({ cniVersion: '1.1.0', ips: [] });
  expect(printedResult('{"cniVersion":""}', '0.4.0').cniVersion).toBe('0.4.0');
  expect(printedResult('{"cniVersion":5}', '').cniVersion).toBe('0.1.0');
  expect(printedResult('{"cniVersion":"0.3.1"}', '1.1.0').cniVersion).toBe('0.3.1');
});

test('a printed result that is none is refused', () => {
  for (const stdout of ['', '5', '[]', '{'])
    expect(() => printedResult(stdout, '1.1.0')).toThrow(/^failed to unmarshal raw result: ./);
  expect(() => printedResult('{"cniVersion":"9.9.9"}', '1.1.0')).toThrow(
    'unsupported CNI result version "9.9.9"',
  );
});
