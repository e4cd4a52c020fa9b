/** What engine.c gives to JavaScript, as the global `engine`: in the compiled program, and nowhere else. */
export interface Engine {
  /** `x64` or `arm64`. */
  readonly arch: string;
  /** The command line, as systemText; the first is how the program was called. Undefined before there is a call. */
  readonly args: readonly string[] | undefined;
  /** The environment by its names, as systemText. Undefined before there is a call. */
  readonly environment: Record<string, string> | undefined;
  /** The functions of libc's calls.ts. */
  readonly libc: Libc;
  encode(text: string): Uint8Array<ArrayBuffer>;
  /** What is not UTF-8 becomes U+FFFD. */
  decode(bytes: Uint8Array): string;
  /** Bytes as the system calls take them, with a zero after them if `end`; each half of a surrogate pair that stands for
   *  a byte becomes that byte. Null for a text with NUL in it. */
  systemBytes(text: string, end: boolean): Uint8Array<ArrayBuffer> | null;
  /** The text that systemBytes makes these bytes of, whatever they are. */
  systemText(bytes: Uint8Array): string;
  /** Where a text stops being JSON: what was expected (json.h), and at which byte of its UTF-8. */
  jsonError(text: string): readonly [expected: number, at: number] | undefined;
  /** In hexadecimal, of the UTF-8. */
  sha512(text: string): string;
  /** Milliseconds, on a clock that nobody sets. */
  now(): number;
  /** As Math.random. */
  random(): number;
  /** From now on a signal is remembered (`hold`), or ends the process again. One that is remembered ends system calls
   *  that wait (EINTR), that under way and later ones. */
  holdSignal(signal: number, hold: boolean): void;
  /** Whether it came since this was asked last. */
  takeSignal(signal: number): boolean;
  /** After EINTR: the signal for which to stop waiting, or 0. It is told once, and again when so many milliseconds have
   *  passed since. */
  interruption(milliseconds: number): number;
  /** Gives back the memory of what only refers to itself; takes some milliseconds. */
  collectCycles(): void;
  /** Leaves a process behind that sends the message on a socket and keeps it open for so long. Whether it could: there
   *  is one at most, which takes one message, and none where it would stay as a zombie. */
  leaveBehind(descriptor: number, message: Uint8Array | undefined, milliseconds: number): boolean;
  /** Whether the file is this program too, by the build it says it is of. False for one that cannot be read. */
  sameBuild(path: string): boolean;
  /** Where in the program's file the name of a plugin may be written (-1: not known), how many bytes there are for it,
   *  and the one that is written there, '' for none. */
  mark(): readonly [offset: number, length: number, plugin: string];
  /** Begins to serve the call. All else is evaluated when the program is built, and must ask for nothing of the call. */
  start?: () => void;
  /** Called when there is nothing left to do at once: the status to end with, undefined to go on. */
  turn?: () => number | undefined;
}

/** Those of the functions that prelude.ts calls. */
export interface Libc {
  write(descriptor: number, bytes: Uint8Array, length: number): number;
  poll(descriptors: Uint8Array, count: number, milliseconds: number): number;
  getpid(): number;
  getuid(): number;
  _exit(status: number): number;
}
