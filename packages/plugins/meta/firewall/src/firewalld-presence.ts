/**
 * Whether firewalld runs: whether somebody owns its name on the system bus. Asked at nearly every call on hosts that
 * have a bus and no firewalld, so it is answered without the D-Bus library, whose loading takes longer than a whole
 * plugin does otherwise: authentication, Hello and the question go out as one piece of fixed bytes.
 */
import { tryStat } from '@cni-ts/libc/file';
import { systemBusPath } from './bus-address.ts';

export const firewalldName = 'org.fedoraproject.FirewallD1';

/** False also when there is no bus, it refuses us, or does not answer within two seconds. */
export function firewalldRuns(): Promise<boolean> {
  const path = systemBusPath();
  if (path === undefined || (path.startsWith('/') && !tryStat(path))) return Promise.resolve(false);
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    let end = () => {};
    const patience = setTimeout(() => finish(false), 2000);
    const finish = (answer: boolean) => {
      clearTimeout(patience);
      resolve(answer); // the first answer counts: hanging up may call `closed` at once
      end();
    };
    end = connect(path, {
      opened: (write) => write(question()),
      received(data) {
        received = Buffer.concat([received, data]);
        const answer = readAnswer(received);
        if (answer !== undefined) finish(answer);
      },
      closed: () => finish(false),
    });
  });
}

/** SASL as root or whoever we are, then two calls: D-Bus specification, "Authentication Protocol". */
function question(): Buffer {
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
  return Buffer.concat([
    Buffer.from(`\0AUTH EXTERNAL ${uid}\r\nBEGIN\r\n`),
    methodCall(1, 'Hello'),
    methodCall(2, 'GetNameOwner', firewalldName),
  ]);
}

/** A call to the bus itself: D-Bus specification, "Message Format", little-endian. */
function methodCall(serial: number, member: string, argument?: string): Buffer {
  const fields = [
    field(1, 'o', '/org/freedesktop/DBus'),
    field(2, 's', 'org.freedesktop.DBus'),
    field(3, 's', member),
    field(6, 's', 'org.freedesktop.DBus'),
  ];
  if (argument !== undefined) fields.push(Buffer.from([8, 1, 0x67, 0, 1, 0x73, 0])); // SIGNATURE 's'
  const array = Buffer.concat(fields.flatMap((one, i) => (i + 1 < fields.length ? [padded(one)] : [one])));
  const body = argument === undefined ? Buffer.alloc(0) : text(argument);
  const head = Buffer.from([0x6c, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(body.length, 4);
  head.writeUInt32LE(serial, 8);
  head.writeUInt32LE(array.length, 12);
  return Buffer.concat([padded(Buffer.concat([head, array])), body]);
}

/** A header field: code, and its value as a variant. */
function field(code: number, signature: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([code, 1, signature.charCodeAt(0), 0]), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes, Buffer.alloc(1)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7)]);
}

const METHOD_RETURN = 2;
const ERROR = 3;

/** Replies come in the order of the calls; signals in between do not count. Undefined: not all there yet. */
function readAnswer(received: Buffer): boolean | undefined {
  const line = received.indexOf('\r\n');
  if (line < 0) return undefined;
  if (!received.toString('latin1', 0, line).startsWith('OK')) return false;
  let replies = 0;
  for (let at = line + 2; at + 16 <= received.length; ) {
    const little = received[at] === 0x6c;
    const word = (offset: number) =>
      little ? received.readUInt32LE(at + offset) : received.readUInt32BE(at + offset);
    const type = received[at + 1];
    const length = 16 + ((word(12) + 7) & ~7) + word(4);
    if (at + length > received.length) return undefined;
    if (type === METHOD_RETURN || type === ERROR) replies++;
    if (replies === 2) return type === METHOD_RETURN;
    at += length;
  }
  return undefined;
}

interface Talk {
  opened(write: (data: Uint8Array) => void): void;
  received(data: Uint8Array): void;
  closed(): void;
}

/** The part of Bun's own sockets that we use. */
interface BunSockets {
  connect(options: {
    unix: string;
    socket: {
      open(socket: { write(data: Uint8Array): number; end(): void }): void;
      data(socket: unknown, data: Uint8Array): void;
      close(): void;
      error(): void;
      connectError(): void;
    };
  }): Promise<unknown>;
}

/** Returns how to hang up. On Bun by its own sockets: loading node:net there takes 6 ms. */
function connect(path: string, talk: Talk): () => void {
  const bun = (globalThis as { Bun?: BunSockets }).Bun; // reason: a global that only one of our runtimes has
  if (!bun) {
    const socket = process.getBuiltinModule('node:net').connect(path);
    socket.on('connect', () => talk.opened((data) => socket.write(data)));
    socket.on('data', talk.received);
    socket.on('error', talk.closed);
    socket.on('close', talk.closed);
    return () => socket.destroy();
  }
  let hangUp = () => {};
  bun
    .connect({
      unix: path,
      socket: {
        open(socket) {
          hangUp = () => socket.end();
          talk.opened((data) => socket.write(data));
        },
        data: (_, data) => talk.received(data),
        close: talk.closed,
        error: talk.closed,
        connectError: talk.closed,
      },
    })
    .catch(talk.closed);
  return () => hangUp();
}
