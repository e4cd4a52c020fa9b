/**
 * A client of a message bus that asks one thing after the other and waits for each answer: D-Bus specification,
 * "Authentication Protocol", "Message Protocol". It says and understands what firewalld and the bus itself are asked:
 * arguments are strings, and of an answer the first value is read, where that is a string or a boolean.
 */
import { textOf } from '@cni-ts/libc/file';
import { UnixSocket } from '@cni-ts/libc/unix-socket';
import { u32At } from '@cni-ts/netlink/bytes';
import { failing } from '@cni-ts/spec/failing';

/** What can be called: a method of an object of somebody on the bus. */
export interface Method {
  /** The name which that somebody has on the bus. */
  readonly destination: string;
  readonly object: string;
  readonly interface: string;
  readonly member: string;
}

/** A method of the bus itself: D-Bus specification, "Message Bus Messages". */
export function busMethod(member: string): Method {
  const name = 'org.freedesktop.DBus';
  return { destination: name, object: '/org/freedesktop/DBus', interface: name, member };
}

/** The first value of an answer: a string or an object's path, a boolean; undefined for none, and for other types. */
export type Value = string | boolean | undefined;

/** Whoever was called says that it failed: in words or, without any, by the error's name. */
export class ErrorReply extends Error {
  /** As in `org.freedesktop.DBus.Error.UnknownMethod`. */
  readonly dbusName: string;

  constructor(dbusName: string, value: Value) {
    super(typeof value === 'string' && value !== '' ? value : dbusName);
    this.name = 'ErrorReply';
    this.dbusName = dbusName;
  }
}

/** Milliseconds that a call waits for its answer: those of libdbus, GDBus and sd-bus. */
const usualPatience = 25_000;

/** Every connection's first call. */
const helloSerial = 1;

/** One connection. Everything waits; one call is under way at a time. */
export class Bus {
  readonly #socket: UnixSocket;
  #serial = helloSerial;
  /** Goes out with the first call, as one piece: the bus is waited for once. */
  #greeting: Uint8Array | undefined = greeting();
  #isAdmitted = false;
  /** What came and was not looked at yet. */
  #received: Uint8Array = new Uint8Array();

  private constructor(socket: UnixSocket) {
    this.#socket = socket;
  }

  /** `path`: of the bus's socket; one that begins with a NUL is abstract. A bus that lets nobody in is waited for for
   *  `patience` milliseconds. Throws a SyscallError. */
  static connect(path: string, patience = usualPatience): Bus {
    return new Bus(UnixSocket.connect(path, patience));
  }

  /**
   * Waits until the bus takes us, where that must show before the first call. Throws an ErrorReply, or `no answer to
   * Hello …` as `call` does.
   */
  enter(): void {
    if (this.#greeting) this.#ask(busMethod('Hello'), helloSerial, new Uint8Array(), usualPatience);
  }

  /**
   * Calls a method with these strings and waits for its answer, for `patience` milliseconds at most. No flag is set: as
   * with the reference, the bus may start whoever is called. Throws an ErrorReply, or `no answer to …` and why: the
   * bus refused us, it went away, the time is over. After the latter other calls may follow: an answer that comes late
   * is not taken for theirs.
   */
  call(method: Method, args: readonly string[], patience = usualPatience): Value {
    const serial = ++this.#serial;
    return this.#ask(method, serial, methodCall(serial, method, args), patience);
  }

  close(): void {
    this.#socket.close();
  }

  #ask(method: Method, serial: number, question: Uint8Array, milliseconds: number): Value {
    const reply = failing(`no answer to ${method.member} of ${method.destination}`, () => {
      const patience = { milliseconds, until: performance.now() + milliseconds };
      this.#socket.write(this.#greeting ? joined([this.#greeting, question]) : question);
      this.#greeting = undefined;
      this.#beAdmitted(patience);
      return this.#replyTo(serial, patience);
    });
    if (reply.errorName !== undefined) throw new ErrorReply(reply.errorName, reply.value);
    return reply.value;
  }

  /** The bus answers AUTH with one line. It begins with OK, or with another word where we are refused. */
  #beAdmitted(patience: Patience): void {
    if (this.#isAdmitted) return;
    const lineFeed = 0x0a;
    while (!this.#received.includes(lineFeed)) this.#awaitBytes(this.#received.length + 1, patience);
    const end = this.#received.indexOf(lineFeed);
    const line = textOf(this.#received.subarray(0, end)).trim();
    if (!/^OK\b/.test(line)) throw new Error(`the bus does not let us in: ${line}`);
    this.#received = this.#received.subarray(end + 1);
    this.#isAdmitted = true;
  }

  /** Passes over signals, calls by others, and answers that come too late. */
  #replyTo(serial: number, patience: Patience): Reply {
    for (;;) {
      const reply = replyIn(this.#nextMessage(patience));
      if (reply?.to === serial) return reply;
      // Where Hello failed (we may be too many) nothing that follows is answered.
      if (reply?.to === helloSerial && reply.errorName !== undefined) return reply;
    }
  }

  #nextMessage(patience: Patience): Uint8Array {
    this.#awaitBytes(headLength, patience);
    const { end } = partsOf(this.#received);
    this.#awaitBytes(end, patience);
    const message = this.#received.subarray(0, end);
    this.#received = this.#received.subarray(end);
    return message;
  }

  /** Waits until so many bytes are there. Those that came are kept, whatever happens. */
  #awaitBytes(length: number, { milliseconds, until }: Patience): void {
    const pieces = [this.#received];
    let there = this.#received.length;
    try {
      while (there < length) {
        const left = until - performance.now();
        // Looked at here as well: a bus that never stops sending must not hold us up either.
        const more = left > 0 ? this.#socket.read(left) : undefined;
        if (!more) throw new Error(`waited ${milliseconds / 1000} s for it`);
        if (!more.length) throw new Error('the bus closed the connection');
        pieces.push(more);
        there += more.length;
      }
    } finally {
      if (pieces.length > 1) this.#received = joined(pieces);
    }
  }
}

/** How long an answer is waited for, and until when by `performance.now`. */
interface Patience {
  readonly milliseconds: number;
  readonly until: number;
}

/** Byte orders, kinds of message, the longest one: D-Bus specification, "Message Format". */
const LITTLE = 0x6c;
const BIG = 0x42;
const METHOD_CALL = 1;
const METHOD_RETURN = 2;
const ERROR = 3;
const headLength = 16;
const longestMessage = 2 ** 27;

/** D-Bus specification, "Header Fields". */
const PATH = 1;
const INTERFACE = 2;
const MEMBER = 3;
const ERROR_NAME = 4;
const REPLY_SERIAL = 5;
const DESTINATION = 6;
const SIGNATURE = 8;

/** As the user we are: EXTERNAL takes its number's digits in hexadecimal, which are 30 to 39. Then the first call. */
function greeting(): Uint8Array {
  const user = String(process.getuid?.() ?? 0).replace(/./g, '3$&');
  const authentication = new TextEncoder().encode(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\n`);
  return joined([authentication, methodCall(helloSerial, busMethod('Hello'), [])]);
}

function methodCall(serial: number, method: Method, args: readonly string[]): Uint8Array {
  const body = new Writer();
  for (const one of args) body.string(one);
  const fields = new Writer();
  fields.field(PATH, 'o').string(method.object);
  fields.field(INTERFACE, 's').string(method.interface);
  fields.field(MEMBER, 's').string(method.member);
  fields.field(DESTINATION, 's').string(method.destination);
  if (args.length) fields.field(SIGNATURE, 'g').signature('s'.repeat(args.length));
  const head = new Writer();
  head.bytes.push(LITTLE, METHOD_CALL, 0, 1); // no flags, version 1
  head.word(body.bytes.length);
  head.word(serial);
  head.word(fields.bytes.length);
  fields.align(8); // after they were counted: what fills up is not theirs
  return Uint8Array.from([...head.bytes, ...fields.bytes, ...body.bytes]);
}

/**
 * One part of a message, little-endian: D-Bus specification, "Marshaling (Wire Format)". Each part begins at a multiple
 * of eight bytes, so that what is aligned in it is aligned in the message.
 */
class Writer {
  readonly bytes: number[] = [];

  align(to: number): void {
    while (this.bytes.length % to) this.bytes.push(0);
  }

  word(value: number): void {
    this.align(4);
    for (const shift of [0, 8, 16, 24]) this.bytes.push((value >>> shift) & 0xff);
  }

  string(text: string): void {
    // The bus would not say why, but hang up.
    if (text.includes('\0'))
      throw new Error(`${JSON.stringify(text)} has a zero byte, which D-Bus does not take`);
    const encoded = new TextEncoder().encode(text);
    this.word(encoded.length);
    for (const byte of encoded) this.bytes.push(byte);
    this.bytes.push(0);
  }

  signature(types: string): void {
    this.bytes.push(types.length, ...new TextEncoder().encode(types), 0);
  }

  /** What a header field begins with; its value, of this type, comes next. */
  field(code: number, type: string): this {
    this.align(8);
    this.bytes.push(code);
    this.signature(type);
    return this;
  }
}

interface Reply {
  /** Serial of the call it answers. */
  readonly to: number;
  readonly value: Value;
  /** Undefined when the call succeeded. */
  readonly errorName: string | undefined;
}

/** Undefined when the message answers nothing. */
function replyIn(message: Uint8Array): Reply | undefined {
  const kind = message[1];
  if (kind !== METHOD_RETURN && kind !== ERROR) return undefined;
  const fields = headerFields(message);
  const [to, errorName] = [fields.get(REPLY_SERIAL), fields.get(ERROR_NAME)];
  if (to === undefined) return undefined;
  return {
    to: wordAt(message, to),
    value: firstValue(message, fields.get(SIGNATURE)),
    errorName: kind === ERROR ? stringAt(message, errorName ?? message.length) : undefined,
  };
}

/** Where the value of each header field is, by the field's code. */
function headerFields(message: Uint8Array): Map<number, number> {
  const found = new Map<number, number>();
  const { fieldsEnd } = partsOf(message);
  for (let at = headLength; at < fieldsEnd; ) {
    // The code; the type's length, which is one, the type and a NUL; the value.
    const [code, type, value] = [message[at]!, String.fromCharCode(message[at + 2]!), at + 4];
    found.set(code, value);
    if (type === 'u') at = value + 4;
    else if (type === 's' || type === 'o') at = value + 4 + wordAt(message, value) + 1;
    else if (type === 'g') at = value + 1 + message[value]! + 1;
    else throw new Error(notUnderstood);
    at = aligned(at);
  }
  return found;
}

/** `signature`: where the signature of the body is; undefined when there is no body. */
function firstValue(message: Uint8Array, signature: number | undefined): Value {
  if (signature === undefined) return undefined;
  const { body } = partsOf(message);
  const type = String.fromCharCode(message[signature + 1]!);
  if (type === 's' || type === 'o') return stringAt(message, body);
  return type === 'b' ? wordAt(message, body) !== 0 : undefined;
}

/** Where the parts of the message are that begins here: as soon as its head is there. */
function partsOf(message: Uint8Array): { fieldsEnd: number; body: number; end: number } {
  const fieldsEnd = headLength + wordAt(message, 12);
  const body = aligned(fieldsEnd);
  const end = body + wordAt(message, 4);
  const order = message[0];
  if ((order !== LITTLE && order !== BIG) || end > longestMessage) throw new Error(notUnderstood);
  return { fieldsEnd, body, end };
}

const notUnderstood = 'what came is no message of D-Bus';

function aligned(at: number): number {
  return Math.ceil(at / 8) * 8;
}

/** In the message's own byte order. */
function wordAt(message: Uint8Array, at: number): number {
  if (message[0] === LITTLE) return u32At(message, at);
  return u32At(message.slice(at, at + 4).reverse(), 0);
}

function stringAt(message: Uint8Array, at: number): string {
  return textOf(message.subarray(at + 4, at + 4 + wordAt(message, at)));
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
