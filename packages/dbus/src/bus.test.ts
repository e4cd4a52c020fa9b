import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { hasBus, startBus } from '@cni-ts/testing/system-bus';
import dbus from 'dbus-native';
import { afterEach, test as base, describe, expect, vi } from 'vitest';
import { Bus, busMethod, ErrorReply } from './bus.ts';
import { isOwned } from './name-owner.ts';
import { connectSystemBus } from './system-bus.ts';

const test = base.extend<{ folder: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's needs from this pattern
  folder: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'bus-'));
    await use(folder);
    rmSync(folder, { recursive: true });
  },
});

afterEach(() => {
  vi.unstubAllEnvs();
});

const firewalldName = 'org.fedoraproject.FirewallD1';
const firewalldRuns = () => isOwned(firewalldName, 2000);

function at(address: string): void {
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', address);
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe.skipIf(!hasBus())('a real bus', () => {
  const realTest = test.extend<{ address: string }>({
    address: [
      async ({ folder }, use) => {
        const { address, stop } = await startBus(folder);
        at(address);
        await use(address);
        await stop();
      },
      { auto: true },
    ],
  });

  realTest('answers with strings, booleans and nothing, one call after the other', () => {
    const bus = connectSystemBus();
    const name = 'org.freedesktop.DBus';
    expect(bus.call(busMethod('GetNameOwner'), [name])).toBe(name);
    expect(bus.call(busMethod('NameHasOwner'), [name])).toBe(true);
    expect(bus.call(busMethod('NameHasOwner'), ['org.example.Nobody'])).toBe(false);
    expect(bus.call({ ...busMethod('Ping'), interface: `${name}.Peer` }, [])).toBeUndefined();
    // Numbers and lists are not read.
    expect(bus.call(busMethod('GetConnectionUnixUser'), [name])).toBeUndefined();
    expect(bus.call(busMethod('ListNames'), [])).toBeUndefined();
    bus.close();
  });

  realTest('lets in whoever enters before the first call', () => {
    const bus = connectSystemBus();
    bus.enter();
    bus.enter();
    expect(bus.call(busMethod('GetId'), [])).toMatch(/^[0-9a-f]{32}$/);
    bus.close();
  });

  realTest('tells by name and in words what failed', () => {
    const bus = connectSystemBus();
    const error = thrownBy(() => bus.call(busMethod('GetNameOwner'), ['org.example.Nobody']));
    expect(error).toBeInstanceOf(ErrorReply);
    expect(error).toMatchObject({
      dbusName: 'org.freedesktop.DBus.Error.NameHasNoOwner',
      message: expect.stringContaining('org.example.Nobody'),
    });
    expect(thrownBy(() => bus.call(busMethod('Nonsense'), ['a', 'ü', '']))).toMatchObject({
      dbusName: 'org.freedesktop.DBus.Error.UnknownMethod',
    });
    expect(() => bus.call(busMethod('GetNameOwner'), ['a\0b'])).toThrow(
      '"a\\u0000b" has a zero byte, which D-Bus does not take',
    );
    expect(bus.call(busMethod('GetId'), [])).toBeTypeOf('string');
    bus.close();
  });

  realTest('knows whether firewalld is there', async ({ address }) => {
    expect(firewalldRuns()).toBe(false);
    const firewalld = dbus.createClient({ busAddress: address, fdTransport: false });
    await firewalld.requestName(firewalldName, 0);
    expect(firewalldRuns()).toBe(true);
    const gone = once(firewalld.connection, 'end');
    firewalld.connection.end();
    await gone;
    expect(firewalldRuns()).toBe(false);
  });

  realTest('is found by any of its addresses', ({ address }) => {
    at(`tcp:host=localhost,port=1;unix:path=/nonexistent;unix:path=%2;unix:;${address},guid=0123`);
    connectSystemBus().close();
    at(address.replaceAll('/', '%2F').replaceAll('-', '%2d'));
    connectSystemBus().close();
  });
});

interface Script {
  readonly path: string;
  /** What is sent when something came for the first time, the second time, …: bytes, a moment between each two. */
  readonly answers: (string | number[])[][];
  /** Hangs up after the last answer. */
  readonly hangsUp: boolean;
}

/**
 * A bus that says what it was told to, whatever it hears, and tells what it hears. The client waits for answers, so it
 * is a thread of its own, which gets the text of this function: nothing from outside of it may be used.
 */
function serve(): void {
  const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads');
  const { path, answers, hangsUp }: Script = workerData;
  const server = process.getBuiltinModule('node:net').createServer((socket) => {
    const left = [...answers];
    socket.on('error', () => undefined); // reason: who leaves early has heard enough
    socket.on('data', async (heard) => {
      parentPort?.postMessage(heard.toString('latin1'));
      for (const piece of left.shift() ?? []) {
        socket.write(typeof piece === 'string' ? piece : Uint8Array.from(piece));
        await new Promise((done) => setTimeout(done, 2));
      }
      if (hangsUp && !left.length) socket.end();
    });
  });
  server.listen(path, () => parentPort?.postMessage('listening'));
}

const scriptedTest = test.extend<{
  scripted: (
    answers: Script['answers'],
    more?: Partial<Script>,
  ) => Promise<{ path: string; heard: string[] }>;
}>({
  scripted: async ({ folder }, use) => {
    const workers: Worker[] = [];
    await use(async (answers, more = {}) => {
      const script: Script = { path: join(folder, 'bus'), answers, hangsUp: false, ...more };
      const worker = new Worker(`(${serve})()`, { eval: true, workerData: script });
      workers.push(worker);
      await once(worker, 'message');
      const heard: string[] = [];
      worker.on('message', (bytes) => heard.push(bytes));
      return { path: script.path, heard };
    });
    for (const worker of workers) await worker.terminate();
  },
});

const ok = 'OK 0123456789abcdef\r\n';

interface Message {
  readonly kind: 'return' | 'error' | 'signal';
  readonly to?: number;
  readonly errorName?: string;
  readonly value?: string | boolean;
}

/** A message of the bus: D-Bus specification, "Message Format". */
function message({ kind, to, errorName, value }: Message, order: 'l' | 'B' = 'l'): number[] {
  const word = (number: number) => {
    const bytes = Buffer.alloc(4);
    if (order === 'l') bytes.writeUInt32LE(number);
    else bytes.writeUInt32BE(number);
    return [...bytes];
  };
  const text = (one: string) => [...word(Buffer.byteLength(one)), ...Buffer.from(one), 0];
  const padded = (bytes: number[]) => [...bytes, ...Array(-bytes.length & 7).fill(0)];
  const code = (one: string) => one.charCodeAt(0);
  const fields: number[][] = [];
  if (errorName !== undefined) fields.push([4, 1, code('s'), 0, ...text(errorName)]);
  if (to !== undefined) fields.push([5, 1, code('u'), 0, ...word(to)]);
  fields.push([7, 1, code('s'), 0, ...text('org.freedesktop.DBus')]);
  if (value !== undefined)
    fields.push([8, 1, code('g'), 0, 1, code(typeof value === 'string' ? 's' : 'b'), 0]);
  const last = fields.pop() ?? [];
  const array = [...fields.flatMap(padded), ...last];
  const body = value === undefined ? [] : typeof value === 'string' ? text(value) : word(Number(value));
  const type = { return: 2, error: 3, signal: 4 }[kind];
  const head = [code(order), type, 1, 1, ...word(body.length), ...word(7), ...word(array.length)];
  return [...padded([...head, ...array]), ...body];
}

const hello = message({ kind: 'return', to: 1, value: ':1.5' });
const signal = message({ kind: 'signal', value: ':1.5' });
const found = message({ kind: 'return', to: 2, value: ':1.4' });
const question = busMethod('GetNameOwner');

describe('a bus that does as it is told', () => {
  scriptedTest('is told everything at once, and once', async ({ scripted }) => {
    const { path, heard } = await scripted([[ok, hello, found]]);
    at(`unix:path=${path}`);
    expect(firewalldRuns()).toBe(true);
    await vi.waitFor(() => expect(heard).toHaveLength(1));
    const user = Buffer.from(String(process.getuid?.())).toString('hex');
    expect(heard[0]).toContain(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\nl`);
    expect(heard[0]).toMatch(/Hello.*GetNameOwner.*org\.fedoraproject\.FirewallD1/s);
  });

  scriptedTest('may answer in pieces, or all at once', async ({ scripted, folder }) => {
    const bytes = [...Buffer.from(ok), ...hello, ...signal, ...found];
    for (const [i, pieces] of [bytes.map((byte) => [byte]), [bytes]].entries()) {
      const { path } = await scripted([pieces], { path: join(folder, String(i)) });
      const bus = Bus.connect(path);
      expect(bus.call(question, [])).toBe(':1.4');
      bus.close();
    }
  });

  scriptedTest('may answer in big-endian', async ({ scripted }) => {
    const big = (one: Message) => message(one, 'B');
    const { path } = await scripted([
      [
        ok,
        big({ kind: 'return', to: 1, value: ':1.5' }),
        big({ kind: 'return', to: 2, value: 'some words' }),
      ],
      [big({ kind: 'return', to: 3, value: true })],
      [big({ kind: 'error', to: 4, errorName: 'org.example.No', value: 'in words' })],
    ]);
    const bus = Bus.connect(path);
    expect(bus.call(question, [])).toBe('some words');
    expect(bus.call(question, [])).toBe(true);
    expect(thrownBy(() => bus.call(question, []))).toMatchObject({
      dbusName: 'org.example.No',
      message: 'in words',
    });
    bus.close();
  });

  scriptedTest('may answer with an error that has no words, or no words first', async ({ scripted }) => {
    const error = { kind: 'error', errorName: 'org.example.No' } as const;
    const { path } = await scripted([
      [ok, hello, message({ ...error, to: 2 })],
      [message({ ...error, to: 3, value: false })],
    ]);
    const bus = Bus.connect(path);
    for (const _ of [2, 3]) {
      expect(thrownBy(() => bus.call(question, []))).toMatchObject({
        dbusName: 'org.example.No',
        message: 'org.example.No',
      });
    }
    bus.close();
  });

  scriptedTest(
    'may be silent for as long as one cares to wait, and late answers are no others',
    async ({ scripted }) => {
      const own = message({ kind: 'return', to: 3, value: ':1.9' });
      // The first answer stops in the middle.
      const { path } = await scripted([
        [ok, hello, found.slice(0, 30)],
        [found.slice(30), own],
      ]);
      const bus = Bus.connect(path);
      const start = performance.now();
      expect(() => bus.call(question, [], 300)).toThrow(
        'no answer to GetNameOwner of org.freedesktop.DBus: waited 0.3 s for it',
      );
      expect(performance.now() - start).toBeGreaterThanOrEqual(299);
      expect(bus.call(question, [])).toBe(':1.9');
      bus.close();
    },
  );

  scriptedTest(
    'is not listened to for longer when it only ever speaks of other things',
    async ({ scripted }) => {
      const { path } = await scripted([[ok, hello, ...Array(500).fill(signal)]]);
      const bus = Bus.connect(path);
      const start = performance.now();
      expect(() => bus.call(question, [], 100)).toThrow('waited 0.1 s for it');
      expect(performance.now() - start).toBeLessThan(900);
      bus.close();
    },
  );

  scriptedTest('may hang up before its answer, and within it', async ({ scripted, folder }) => {
    const gone = 'no answer to GetNameOwner of org.freedesktop.DBus: the bus closed the connection';
    for (const [i, answer] of [[], [ok], [ok, hello, found.slice(0, -3)]].entries()) {
      const { path } = await scripted([answer], { path: join(folder, String(i)), hangsUp: true });
      const bus = Bus.connect(path);
      expect(() => bus.call(question, [])).toThrow(gone);
      expect(() => bus.call(question, [])).toThrow('no answer to GetNameOwner of org.freedesktop.DBus: ');
      bus.close();
      at(`unix:path=${path}`);
      expect(firewalldRuns()).toBe(false);
    }
  });

  scriptedTest('may refuse us', async ({ scripted }) => {
    const { path } = await scripted([['REJECTED EXTERNAL\r\n']]);
    at(`unix:path=${path}`);
    expect(firewalldRuns()).toBe(false);
    const bus = connectSystemBus();
    const refused = 'of org.freedesktop.DBus: the bus does not let us in: REJECTED EXTERNAL';
    expect(() => bus.enter()).toThrow(`no answer to Hello ${refused}`);
    expect(() => bus.call(question, [])).toThrow(`no answer to GetNameOwner ${refused}`);
    bus.close();
  });

  scriptedTest('may have too many of us', async ({ scripted }) => {
    const errorName = 'org.freedesktop.DBus.Error.LimitsExceeded';
    const { path } = await scripted([[ok, message({ kind: 'error', to: 1, errorName, value: 'too many' })]]);
    const bus = Bus.connect(path);
    expect(thrownBy(() => bus.call(question, []))).toMatchObject({
      dbusName: errorName,
      message: 'too many',
    });
    bus.close();
  });

  scriptedTest('may be something else', async ({ scripted, folder }) => {
    const endless = hello.with(7, 0xff);
    for (const [i, bytes] of ['HTTP/1.1 400 Bad Request\r\n', endless].entries()) {
      const { path } = await scripted([[ok, bytes]], { path: join(folder, String(i)) });
      const bus = Bus.connect(path);
      expect(() => bus.call(question, [])).toThrow('what came is no message of D-Bus');
      bus.close();
    }
  });

  scriptedTest('may have an abstract address', async ({ scripted }) => {
    const name = `bus-${process.pid}`;
    await scripted([[ok, hello, found]], { path: `\0${name}` });
    at(`unix:abstract=${name}`);
    expect(firewalldRuns()).toBe(true);
  });

  scriptedTest('that is silent counts after two seconds as one without firewalld', async ({ scripted }) => {
    const { path } = await scripted([]);
    at(`unix:path=${path}`);
    const start = performance.now();
    expect(firewalldRuns()).toBe(false);
    expect(performance.now() - start).toBeGreaterThanOrEqual(1999);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('no bus', () => {
  test.for([
    ['unix:path=/nonexistent/bus', 'dial unix /nonexistent/bus: connect: no such file or directory'],
    ['unix:abstract=cni-ts-nobody', 'dial unix @cni-ts-nobody: connect: connection refused'],
    [
      'unix:path=/nonexistent/a;unix:abstract=b',
      'dial unix /nonexistent/a: connect: no such file or directory',
    ],
    [
      'tcp:host=localhost,port=1',
      'DBUS_SYSTEM_BUS_ADDRESS names no socket of this machine: "tcp:host=localh',
    ],
    ['unix:path=%zz', 'DBUS_SYSTEM_BUS_ADDRESS names no socket of this machine: "unix:path=%zz"'],
  ] as const)('%s', ([address, sentence]) => {
    at(address);
    expect(() => connectSystemBus()).toThrow(sentence);
    expect(firewalldRuns()).toBe(false);
  });
});
