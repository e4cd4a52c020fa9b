/**
 * Text as the system calls know it: bytes without NUL, in no encoding. Names of files and links, paths, arguments and
 * the environment are read and given back byte for byte. In the compiled program a byte that is no UTF-8 is half of a
 * surrogate pair meanwhile (U+DC80 to U+DCFF), which no other text has; Node replaces such bytes before we see them.
 */
import { SyscallError } from './syscall-error.ts';

/** The part of the compiled program's engine (packages/engine) that we use. */
interface Engine {
  systemBytes(text: string, end: boolean): Uint8Array<ArrayBuffer> | null;
  systemText(bytes: Uint8Array): string;
}
const { engine } = globalThis as { engine?: Engine }; // reason: a global that only the compiled program has

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The bytes of a text, followed by a zero if `end`. Throws a SyscallError (EINVAL) for a text with NUL in it: C would
 * take what is before that for the whole.
 */
export function systemBytes(text: string, end = false): Uint8Array<ArrayBuffer> {
  const bytes = engine ? engine.systemBytes(text, end) : encode(text, end);
  if (bytes === null) {
    throw new SyscallError('text', 'EINVAL', `there is a NUL character in ${JSON.stringify(text)}`);
  }
  return bytes;
}

function encode(text: string, end: boolean): Uint8Array<ArrayBuffer> | null {
  return text.includes('\0') ? null : encoder.encode(end ? `${text}\0` : text);
}

/** The text that `systemBytes` makes these bytes of. */
export function systemText(bytes: Uint8Array): string {
  return engine ? engine.systemText(bytes) : decoder.decode(bytes);
}
