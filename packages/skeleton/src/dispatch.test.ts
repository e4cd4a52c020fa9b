import { CniError } from '@cni-ts/spec/cni-error';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { networkConfig } from './config.ts';
import { callPlugin } from './dispatch.ts';
import { findContainerNetns, openContainerNetns } from './own-netns.ts';
import { type Definition, definePlugin, type Plugin, type Request } from './plugin.ts';
import type { Process } from './process.ts';

const schema = z.object({ ...networkConfig, mtu: z.optional(z.int()) });
type Config = z.output<typeof schema>;
type Given = Partial<Definition<typeof schema, Config>> & { parse?: undefined };

/** A plugin that does nothing well, in all versions; each test gives it what it is about. */
function pluginWith(given: Given = {}): Plugin {
  return definePlugin({
    type: 't',
    about: 'CNI plugin t v1',
    config: schema,
    add: () => ({}),
    check() {},
    del() {},
    gc() {},
    status() {},
    ...given,
  });
}

const base = { CNI_CONTAINERID: 'c1', CNI_NETNS: '/none', CNI_IFNAME: 'eth0', CNI_PATH: '/x' };
const good = '{"name":"n","cniVersion":"1.1.0"}';

interface Call extends Partial<Process> {
  stdin?: string;
  plugin?: Plugin;
}

async function call(env: Process['env'], { stdin = good, plugin = pluginWith(), ...streams }: Call = {}) {
  let [stdout, stderr] = ['', ''];
  const status = await callPlugin(plugin, {
    env,
    readStdin: () => stdin,
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
    ...streams,
  });
  return { status, stdout, stderr };
}

/** The error object of a call that must fail. */
async function refusal(env: Process['env'], options: Call = {}) {
  const { status, stdout } = await call(env, options);
  expect(status).toBe(1);
  return JSON.parse(stdout) as { code: number; msg: string; details?: string }; // what the skeleton prints
}

const as = (command: string, env: Process['env'] = base) => ({ ...env, CNI_COMMAND: command });
const config = (version: string) => JSON.stringify({ name: 'n', cniVersion: version });

/** Runs ADD (or another command) and hands its request to the test. */
async function requestOf(stdin: string, look: (request: Request<Config>) => void, command = 'ADD') {
  const handlers = { add: look, check: look, del: look, gc: look, status: look };
  const plugin = pluginWith({
    ...handlers,
    add(request) {
      look(request);
      return { ips: [{ address: '10.0.0.1/24' }] };
    },
  });
  return await call(as(command), { stdin, plugin });
}

describe('environment', () => {
  const aboutText =
    'CNI plugin t v1\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n';

  test('a plugin started by hand tells what it is (protocol 1)', async () => {
    const readStdin = () => {
      throw new Error('stdin was read');
    };
    expect(await call({}, { readStdin })).toEqual({ status: 0, stdout: '', stderr: aboutText });
  });

  test('a plugin started by hand that has nothing to tell reports the missing command (protocol 2)', async () => {
    const error = await refusal({}, { plugin: pluginWith({ about: '' }) });
    expect(error).toEqual({ code: 4, msg: 'required env variables [CNI_COMMAND] missing' });
  });

  test('an empty command is an absent one, whatever else is set (protocol 3)', async () => {
    expect(await call({ CNI_COMMAND: '', CNI_CONTAINERID: '-x' })).toEqual({
      status: 0,
      stdout: '',
      stderr: aboutText,
    });
  });

  test('ADD names all missing variables at once (protocol 6)', async () => {
    expect(await refusal({ CNI_COMMAND: 'ADD' })).toEqual({
      code: 4,
      msg: 'required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing',
    });
  });

  test('DEL needs no namespace, GC and STATUS need only the path (protocol 7)', async () => {
    const missing = async (command: string) => (await refusal({ CNI_COMMAND: command })).msg;
    expect(await missing('DEL')).toBe('required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing');
    expect(await missing('GC')).toBe('required env variables [CNI_PATH] missing');
    expect(await missing('STATUS')).toBe('required env variables [CNI_PATH] missing');
  });

  test('an invalid variable is reported before missing ones (protocol 8)', async () => {
    expect(await refusal({ CNI_COMMAND: 'ADD', CNI_CONTAINERID: '-x' })).toEqual({
      code: 4,
      msg: 'invalid characters in containerID',
      details: '-x',
    });
  });

  test('a container ID may hold letters, digits, underscore, dot and dash only (protocol 9)', async () => {
    const withId = (id: string) => as('ADD', { ...base, CNI_CONTAINERID: id });
    expect(await refusal(withId('a%%b'))).toEqual({
      code: 4,
      msg: 'invalid characters in containerID',
      details: 'a%%b',
    });
    expect((await call(withId('A_1.b-c'))).status).toBe(0);
    expect((await refusal(withId(''))).msg).toBe('required env variables [CNI_CONTAINERID] missing');
  });

  test('STATUS does not judge a container ID it has no use for (protocol 10)', async () => {
    expect((await call({ CNI_COMMAND: 'STATUS', CNI_PATH: '/x', CNI_CONTAINERID: '%%' })).status).toBe(0);
  });

  test('an interface name has at most 15 bytes (protocol 11)', async () => {
    const named = (ifname: string) => as('ADD', { ...base, CNI_IFNAME: ifname });
    const tooLong = {
      code: 4,
      msg: 'interface name is too long',
      details: 'interface name should be less than 16 characters',
    };
    expect(await refusal(named('a'.repeat(16)))).toEqual(tooLong);
    expect(await refusal(named('é'.repeat(8)))).toEqual(tooLong);
    expect((await call(named('a'.repeat(15)))).status).toBe(0);
  });

  test('an interface name is not a path and has no white space (protocol 12)', async () => {
    const message = async (ifname: string) => (await refusal(as('ADD', { ...base, CNI_IFNAME: ifname }))).msg;
    for (const name of ['.', '..']) expect(await message(name)).toBe('interface name is . or ..');
    for (const name of ['a/b', 'a:b', 'a b', 'a\tb']) {
      expect(await message(name)).toBe('interface name contains / or : or whitespace characters');
    }
  });
});

describe('VERSION', () => {
  const plugin = pluginWith({ versions: ['0.4.0', '1.0.0', '1.1.0'] });
  const line = '{"cniVersion":"1.1.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]}\n';

  test('needs nothing and does not touch stdin (protocol 4)', async () => {
    const readStdin = () => {
      throw new Error('stdin was read');
    };
    const answer = await call({ CNI_COMMAND: 'VERSION' }, { readStdin, plugin });
    expect(answer).toEqual({ status: 0, stdout: line, stderr: '' });
  });

  test('tells its own version, not that of the configuration (protocol 5)', async () => {
    expect((await call(as('VERSION'), { stdin: config('0.3.1'), plugin })).stdout).toBe(line);
  });
});

describe('configuration', () => {
  test('an unknown command is reported after the configuration is read (protocol 13)', async () => {
    expect(await refusal(as('add'))).toEqual({ code: 4, msg: 'unknown CNI_COMMAND: add' });
    expect((await refusal(as('toString'))).msg).toBe('unknown CNI_COMMAND: toString');
    const empty = await refusal(as('add'), { stdin: '' });
    expect(empty.code).toBe(6);
    expect(empty.msg).toMatch(/^error unmarshall network config: /);
  });

  test.each(['{}', 'null', '{"name":""}', '{"name":null}'])(
    '%s has no network name (protocol 14)',
    async (stdin) => {
      expect(await refusal(as('ADD'), { stdin })).toEqual({ code: 7, msg: 'missing network name' });
    },
  );

  test.each(['a b', 'a\n', '../a', '..', 'a/b'])(
    'network name %j is refused before it can become a file name (protocol 15)',
    async (name) => {
      expect(await refusal(as('DEL'), { stdin: JSON.stringify({ name, cniVersion: '1.1.0' }) })).toEqual({
        code: 7,
        msg: 'invalid characters found in network name',
        details: name,
      });
    },
  );

  test.each(['[]', '{"name":5}', '{} x', '5', '', '\ufeff{}'])(
    '%j is no configuration (protocol 16)',
    async (stdin) => {
      const error = await refusal(as('ADD'), { stdin });
      expect(error.code).toBe(6);
      expect(error.msg).toMatch(/^error unmarshall network config: ./);
    },
  );

  test('a version that is no string is refused (protocol 17)', async () => {
    const error = await refusal(as('ADD'), { stdin: '{"name":"n","cniVersion":110}' });
    expect(error.code).toBe(6);
    expect(error.msg).toMatch(/^decoding version from network config: ./);
  });

  test('stdin that cannot be read is an I/O error', async () => {
    const readStdin = () => {
      throw new Error('EIO: i/o error, read');
    };
    expect(await refusal(as('ADD'), { readStdin })).toEqual({
      code: 5,
      msg: 'error reading from stdin: EIO: i/o error, read',
    });
  });

  test('name and version are found in any letter case', async () => {
    const stdin = '{"NAME":"net","CNIVersion":"0.4.0"}';
    await requestOf(stdin, ({ network, cniVersion }) =>
      expect([network, cniVersion]).toEqual(['net', '0.4.0']),
    );
  });

  test('a verb that does not look at the configuration does not fail on it', async () => {
    const stdin = '{"name":"n","cniVersion":"1.1.0","mtu":"x"}';
    expect((await call(as('DEL'), { stdin })).status).toBe(0);
    const plugin = pluginWith({ del: ({ config }) => void config.mtu });
    expect(await refusal(as('DEL'), { stdin, plugin })).toEqual({
      code: 7,
      msg: 'failed to load netconf: mtu: expected a number, got the string "x"',
    });
  });

  test('the request holds the environment and the text of the configuration as received', async () => {
    const seen: unknown[] = [];
    const stdin = ' {"name":"n","cniVersion":"1.1.0","x":1}\n';
    await requestOf(stdin, (r) => seen.push(r.containerId, r.netns, r.ifname, r.args, r.stdin, r.json.x));
    expect(seen).toEqual(['c1', '/none', 'eth0', '', stdin, 1]);
  });
});

describe('versions', () => {
  test('a configuration without version is 0.1.0, which must be in the list (protocol 18)', async () => {
    const plugin = pluginWith({ versions: ['4.3.2'] });
    expect(await refusal(as('ADD'), { stdin: '{"name":"n"}', plugin })).toEqual({
      code: 1,
      msg: 'incompatible CNI versions',
      details: 'config is "0.1.0", plugin supports ["4.3.2"]',
    });
  });

  test('a configuration without version runs on a plugin of 0.1.0 (protocol 19)', async () => {
    const plugin = pluginWith({ versions: ['0.1.0'], add: () => ({ ips: [{ address: '10.0.0.2/24' }] }) });
    const { status, stdout } = await call(as('ADD'), { stdin: '{"name":"n"}', plugin });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ cniVersion: '0.1.0', ip4: { ip: '10.0.0.2/24' } });
  });

  test.each(['1.1', 'x.1'])('ADD wants the exact version text, not %s (protocol 20)', async (version) => {
    const error = await refusal(as('ADD'), { stdin: config(version) });
    expect([error.code, error.msg]).toEqual([1, 'incompatible CNI versions']);
  });

  test('CHECK, GC and STATUS need a configuration as new as they are (protocol 21)', async () => {
    const answer = (command: string) => ({ code: 1, msg: `config version does not allow ${command}` });
    expect(await refusal(as('CHECK'), { stdin: config('0.3.1') })).toEqual(answer('CHECK'));
    for (const command of ['STATUS', 'GC']) {
      expect(await refusal(as(command), { stdin: config('1.0.0') })).toEqual(answer(command));
      expect(await refusal(as(command), { stdin: '{"name":"n"}' })).toEqual(answer(command));
      expect((await call(as(command), { stdin: config('1.1.0') })).status).toBe(0);
    }
  });

  test('CHECK, GC and STATUS need a plugin as new as the configuration (protocol 22)', async () => {
    const old = pluginWith({ versions: ['0.1.0', '0.3.0'] });
    expect(await refusal(as('CHECK'), { stdin: config('0.4.0'), plugin: old })).toEqual({
      code: 1,
      msg: 'plugin version does not allow CHECK',
    });
    expect(await refusal(as('GC'), { plugin: old })).toEqual({
      code: 1,
      msg: 'plugin version does not allow GC',
    });
  });

  test('a version between releases passes the age test and fails the exact one (protocol 23)', async () => {
    expect(await refusal(as('CHECK'), { stdin: config('0.4.1') })).toMatchObject({
      code: 1,
      msg: 'incompatible CNI versions',
    });
    expect(await refusal(as('STATUS'), { stdin: config('1.2.0') })).toEqual({
      code: 1,
      msg: 'plugin version does not allow STATUS',
    });
  });

  test('STATUS says what is wrong with a version that is none (protocol 24)', async () => {
    const letters = await refusal(as('STATUS'), { stdin: config('x.1') });
    expect(letters.code).toBe(6);
    expect(letters.msg).toMatch(/^failed to convert major version part "x": ./);
    expect(await refusal(as('STATUS'), { stdin: config('1.1.0.0') })).toEqual({
      code: 6,
      msg: 'invalid version "1.1.0.0": too many parts',
    });
  });

  test('a version in the plugin itself that is none is reported when it is met first (protocol 25)', async () => {
    const early = pluginWith({ versions: ['0.4.0', 'bad', '1.1.0'] });
    expect((await refusal(as('GC'), { plugin: early })).code).toBe(6);
    const late = pluginWith({ versions: ['0.4.0', '1.1.0', 'bad'] });
    expect((await call(as('GC'), { plugin: late })).status).toBe(0);
  });
});

describe('answers', () => {
  test('a verb that has nothing to do answers nothing (protocol 26)', async () => {
    for (const command of ['CHECK', 'DEL', 'GC', 'STATUS']) {
      expect(await call(as(command))).toEqual({ status: 0, stdout: '', stderr: '' });
    }
  });

  test('a plain error has code 999, a CNI error stays itself however it is wrapped (protocol 27)', async () => {
    const failing = (error: unknown) =>
      pluginWith({
        check() {
          throw error;
        },
      });
    expect(await refusal(as('CHECK'), { plugin: failing(new Error('potato')) })).toEqual({
      code: 999,
      msg: 'potato',
    });
    const own = new CniError(1234, 'no', 'really');
    const answer = { code: 1234, msg: 'no', details: 'really' };
    expect(await refusal(as('CHECK'), { plugin: failing(own) })).toEqual(answer);
    const wrapped = new Error('while checking', { cause: new Error('deeper', { cause: own }) });
    expect(await refusal(as('CHECK'), { plugin: failing(wrapped) })).toEqual(answer);
  });

  test('the causes of a plain error are kept', async () => {
    const add = () => {
      throw new Error('could not add the address', { cause: new Error('EEXIST: file exists') });
    };
    expect(await refusal(as('ADD'), { plugin: pluginWith({ add }) })).toEqual({
      code: 999,
      msg: 'could not add the address',
      details: 'EEXIST: file exists',
    });
  });

  test('an error object is indented by four and has no final newline (protocol 28)', async () => {
    const failing = (details: string) =>
      pluginWith({
        del() {
          throw new CniError(7, 'bad', details);
        },
      });
    expect((await call(as('DEL'), { plugin: failing('why') })).stdout).toBe(
      '{\n    "code": 7,\n    "msg": "bad",\n    "details": "why"\n}',
    );
    expect((await call(as('DEL'), { plugin: failing('') })).stdout).toBe(
      '{\n    "code": 7,\n    "msg": "bad"\n}',
    );
  });

  test('a result is printed in the version of the configuration', async () => {
    const plugin = pluginWith({ add: () => ({ interfaces: [{ name: 'eth0', mtu: 9 }] }) });
    const { stdout } = await call(as('ADD'), { plugin, stdin: config('0.4.0') });
    expect(JSON.parse(stdout)).toEqual({ cniVersion: '0.4.0', interfaces: [{ name: 'eth0' }], dns: {} });
  });

  test('log lines go to stderr', async () => {
    const plugin = pluginWith({ status: ({ log }) => log('all is well') });
    expect((await call(as('STATUS'), { plugin })).stderr).toBe('all is well\n');
  });

  test('an error that cannot be written to stdout is told on stderr', async () => {
    const writeStdout = () => {
      throw new Error('EPIPE: broken pipe, write');
    };
    const { status, stderr } = await call(as('add'), { writeStdout });
    expect(status).toBe(1);
    expect(stderr).toContain('Error writing error JSON to stdout: EPIPE: broken pipe, write');
  });
});

describe('namespace', () => {
  const path = '/proc/thread-self/ns/net';
  const inOwn = (command: string, more: Process['env'] = {}) =>
    as(command, { ...base, CNI_NETNS: path, ...more });
  const refused = { code: 8, msg: "plugin's netns and netns from CNI_NETNS should not be the same" };

  /** A plugin that enters CNI_NETNS, before it does anything else; `ran` tells what it came to do. */
  function entering(ran: string[] = []): Plugin {
    const enter = (verb: string) => (request: Request<Config>) => {
      openContainerNetns(request).close();
      return { cniVersion: `${ran.push(verb)}` };
    };
    return pluginWith({
      add: enter('add'),
      check: (request) => void enter('check')(request),
      del(request) {
        const netns = findContainerNetns(request);
        netns?.close();
        ran.push(netns ? 'del inside' : 'del outside');
      },
    });
  }

  test("ADD and CHECK do nothing in the plugin's own namespace; to DEL the container's is gone (protocol 29, checked before)", async () => {
    const ran: string[] = [];
    const plugin = entering(ran);
    expect(await refusal(inOwn('ADD'), { plugin })).toMatchObject(refused);
    expect(await refusal(inOwn('CHECK'), { plugin })).toMatchObject(refused);
    expect((await call(inOwn('DEL'), { plugin })).status).toBe(0);
    expect(ran).toEqual(['del outside']);
  });

  test('a plugin that does not enter it does not care', async () => {
    for (const command of ['ADD', 'CHECK', 'DEL']) expect((await call(inOwn(command))).status).toBe(0);
  });

  test('the override is 1 or true in any letter case, nothing else (protocol 30)', async () => {
    const plugin = entering();
    const status = async (value: string) =>
      (await call(inOwn('ADD', { CNI_NETNS_OVERRIDE: value }), { plugin })).status;
    expect(await Promise.all(['1', 'tRuE', 'yes', '0', 'true\n'].map(status))).toEqual([0, 0, 1, 1, 1]);
    const ran: string[] = [];
    await call(inOwn('DEL', { CNI_NETNS_OVERRIDE: '1' }), { plugin: entering(ran) });
    expect(ran).toEqual(['del inside']);
  });

  test('DEL runs without a namespace, or with one that is gone (protocol 31)', async () => {
    expect((await call(as('DEL', { ...base, CNI_NETNS: undefined }))).status).toBe(0);
    const ran: string[] = [];
    expect((await call(as('DEL'), { plugin: entering(ran) })).status).toBe(0);
    const file = { ...base, CNI_NETNS: process.execPath };
    expect((await call(as('DEL', file), { plugin: entering(ran) })).status).toBe(0);
    expect(ran).toEqual(['del outside', 'del outside']);
  });

  test('an own namespace that cannot be told is an error, also to DEL', async () => {
    const failing = () => {
      throw new Error('statx is not permitted');
    };
    for (const ownNetns of [() => undefined, failing]) {
      for (const command of ['ADD', 'CHECK', 'DEL']) {
        expect(await refusal(inOwn(command), { ownNetns, plugin: entering() })).toMatchObject({
          code: 8,
          msg: "get plugin's netns failed",
        });
      }
    }
  });

  test('a namespace is the same under every path', async () => {
    const same = { ...base, CNI_NETNS: `/proc/self/root/proc/thread-self/ns/net` };
    expect(await refusal(as('ADD', same), { plugin: entering() })).toMatchObject(refused);
  });
});

describe('a failed ADD', () => {
  const steps = (undone: string[], finish: (request: Request<Config>) => object) =>
    pluginWith({
      add(request) {
        request.undo.add('the bridge', () => void undone.push('bridge'));
        request.undo.add('the veth', () => void undone.push('veth'));
        return finish(request);
      },
    });

  test('is undone last to first before its error is printed', async () => {
    const undone: string[] = [];
    const plugin = steps(undone, () => {
      throw new Error('no address left');
    });
    expect(await refusal(as('ADD'), { plugin })).toEqual({ code: 999, msg: 'no address left' });
    expect(undone).toEqual(['veth', 'bridge']);
  });

  test('keeps its own error when undoing fails too, and tells both', async () => {
    const undone: string[] = [];
    const plugin = steps(undone, ({ undo }) => {
      undo.add('the route', () => {
        throw new Error('ESRCH');
      });
      throw new CniError(11, 'busy', 'come back');
    });
    expect(await refusal(as('ADD'), { plugin })).toEqual({
      code: 11,
      msg: 'busy',
      details: 'come back; could not undo the route: ESRCH',
    });
    expect(undone).toEqual(['veth', 'bridge']);
  });

  test('includes one whose result the version of the configuration has no words for', async () => {
    const undone: string[] = [];
    const plugin = steps(undone, () => ({ interfaces: [{ name: 'eth0' }] }));
    expect((await refusal(as('ADD'), { plugin, stdin: config('0.2.0') })).msg).toBe(
      'cannot convert: no valid IP addresses',
    );
    expect(undone).toEqual(['veth', 'bridge']);
  });

  test('includes one whose result is none', async () => {
    const undone: string[] = [];
    const plugin = steps(undone, () => ({ ips: [{ address: '10.0.0.1' }] }));
    const error = await refusal(as('ADD'), { plugin });
    expect(error.code).toBe(999);
    expect(error.msg).toMatch(/^plugin t made a result that is none: invalid CIDR address: 10\.0\.0\.1/);
    expect(undone).toEqual(['veth', 'bridge']);
  });

  test('includes one whose result nobody reads', async () => {
    const undone: string[] = [];
    const writeStdout = () => {
      throw new Error('EPIPE');
    };
    expect((await call(as('ADD'), { plugin: steps(undone, () => ({})), writeStdout })).status).toBe(1);
    expect(undone).toEqual(['veth', 'bridge']);
  });

  test('includes one that was told to stop', async () => {
    const undone: string[] = [];
    const options = { plugin: steps(undone, () => ({})), interrupted: () => 'SIGTERM' };
    expect(await refusal(as('ADD'), options)).toEqual({
      code: 11,
      msg: 'interrupted by SIGTERM; everything this ADD had made was undone',
    });
    expect(undone).toEqual(['veth', 'bridge']);
  });

  test('does not claim to be clean when it was told to stop and could not undo all', async () => {
    const plugin = steps([], ({ undo }) => {
      undo.add('the route', () => {
        throw new Error('ESRCH');
      });
      return {};
    });
    expect(await refusal(as('ADD'), { plugin, interrupted: () => 'SIGINT' })).toEqual({
      code: 11,
      msg: 'interrupted by SIGINT; not everything this ADD had made could be undone',
      details: 'could not undo the route: ESRCH',
    });
  });

  test('is not any other verb: DEL told to stop finishes', async () => {
    expect((await call(as('DEL'), { interrupted: () => 'SIGTERM' })).status).toBe(0);
  });
});

describe('prevResult', () => {
  const withPrevious = (cniVersion: string, prevResult: unknown) =>
    JSON.stringify({ name: 'n', cniVersion, prevResult });
  const looking = pluginWith({ add: ({ prevResult }) => prevResult ?? {} });
  const refusedText = async (cniVersion: string, prevResult: unknown) =>
    (await refusal(as('ADD'), { plugin: looking, stdin: withPrevious(cniVersion, prevResult) })).msg;

  test('without a version is read by the one of the configuration (protocol 53)', async () => {
    let seen: unknown;
    const stdin = withPrevious('0.2.0', { ip4: { ip: '10.0.0.1/24' } });
    await requestOf(stdin, ({ prevResult }) => {
      seen = prevResult;
    });
    expect(seen).toMatchObject({ ips: [{ address: '10.0.0.1/24' }] });
    expect(await refusedText('1.1.0', { cniVersion: '0.2.0' })).toBe(
      'could not parse prevResult: result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is "0.2.0"',
    );
  });

  test.each([
    ['1.1.0', '', 'result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is ""'],
    ['1.1.0', '5678.456', 'result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is "5678.456"'],
    ['0.4.0', '1.0.0', 'result type supports [0.3.0 0.3.1 0.4.0] but unmarshalled CNIVersion is "1.0.0"'],
  ])('of a %s configuration must not say version %j', async (version, inside, text) => {
    expect(await refusedText(version, { cniVersion: inside })).toBe(`could not parse prevResult: ${text}`);
  });

  test('of a neighbouring version is accepted', async () => {
    for (const [version, inside] of [
      ['1.1.0', '1.0.0'],
      ['0.4.0', '0.3.1'],
      ['0.2.0', ''],
    ] as const) {
      let seen: unknown;
      await requestOf(withPrevious(version, { cniVersion: inside }), ({ prevResult }) => {
        seen = prevResult;
      });
      expect(seen).toEqual({ cniVersion: '1.1.0' });
    }
  });

  test('that is absent or null is undefined, and one nobody asks for is not read', async () => {
    let seen: unknown = 'not asked';
    const { status } = await requestOf(withPrevious('1.1.0', null), ({ prevResult }) => {
      seen = prevResult;
    });
    expect([status, seen]).toEqual([0, undefined]);
    expect((await call(as('DEL'), { stdin: withPrevious('1.1.0', 5) })).status).toBe(0);
  });

  test('that is no object is refused when asked for', async () => {
    expect(await refusedText('1.1.0', 'x')).toMatch(/^could not parse prevResult: ./);
  });
});

describe('GC', () => {
  const gcOf = (attachments: object) => JSON.stringify({ name: 'n', cniVersion: '1.1.0', ...attachments });
  const seenBy = async (attachments: object) => {
    let seen: unknown;
    const answer = await requestOf(
      gcOf(attachments),
      ({ validAttachments }) => {
        seen = validAttachments;
      },
      'GC',
    );
    return answer.status === 0 ? seen : JSON.parse(answer.stdout);
  };

  test('hands over what must stay', async () => {
    expect(await seenBy({ 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }] })).toEqual([
      { containerId: 'a', ifname: 'eth0' },
    ]);
    expect(await seenBy({ 'cni.dev/attachments': [] })).toEqual([]);
    expect(await seenBy({ 'cni.dev/valid-attachments': null })).toEqual([]);
  });

  test('without a list refuses to remove everything', async () => {
    const error = await seenBy({});
    expect(error).toMatchObject({ code: 7 });
    expect(error.msg).toMatch(/^GC without "cni\.dev\/valid-attachments" /);
  });

  test('names the entry it cannot read', async () => {
    const entries = [{ containerID: 'a', ifname: 'eth0' }, { containerID: 5 }];
    expect(await seenBy({ 'cni.dev/valid-attachments': entries })).toMatchObject({
      code: 7,
      msg: 'failed to load netconf: cni.dev/valid-attachments[1]: expected an object with containerID and ifname',
    });
  });
});
