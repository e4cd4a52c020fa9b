/**
 * What a call did and how long each step of it took, as lines of JSON in the file that CNI_LOG names: for an operator who
 * asks, and never otherwise. Ids and parents are those of W3C trace context (https://www.w3.org/TR/trace-context/): who
 * sets TRACEPARENT finds the call in its own trace.
 *
 * Steps are the time between two marks, so they add up to the call. A line is one write to a file that is opened for
 * appending, so several processes can share it. A log that cannot be written fails no call.
 */
import type { Variables } from '@cni-ts/invoke/environment';
import { closeFile, openFile, openFlags, writeWhole } from '@cni-ts/libc/file';
import { wallMicroseconds } from '@cni-ts/libc/wall-clock';
import { CniError, errorText, oneLine, toCniError } from '@cni-ts/spec/cni-error';
import { isSecretKey } from '@cni-ts/spec/secret-key';

/** One line: a step of a call where it has `step`, else the call as a whole. */
export interface LogLine {
  /** When it began: RFC 3339, UTC, microseconds. */
  readonly time: string;
  /** 32 and 16 hex digits. Of a step: those of its call. */
  readonly traceId: string;
  readonly spanId: string;
  /** Absent where nobody above this call is known. */
  readonly parentId?: string;
  /** `plugin`: the call as the plugin sees it; `run`: a plugin as its caller sees it, with the start of its process;
   *  `chain`: all plugins of a network. */
  readonly kind: 'plugin' | 'run' | 'chain';
  readonly verb: string;
  /** Of a chain: ''. */
  readonly plugin: string;
  /** '' where the configuration could not be read. */
  readonly network: string;
  readonly container: string;
  readonly interface: string;
  readonly step?: string;
  /** Microseconds. */
  readonly duration: number;
  readonly pid: number;
  /** Why it failed, without what the configuration calls a secret. */
  readonly error?: string;
}

/** What a call is about, as far as that is known when it begins. */
export interface LoggedCall {
  readonly kind: LogLine['kind'];
  readonly plugin: string;
  readonly env: Variables;
  /** Where it says that it cannot be written. */
  readonly note: (text: string) => void;
}

const hexDigits = '0123456789abcdef';

const cleanUp = 'clean up';

/** For its owner alone: a log tells names of containers. */
const logMode = 0o600;

export class CallLog {
  /** Of the network; set once it is known. */
  network = '';
  /** The configuration, once it is read: where secrets are looked for before an error is written. */
  json: unknown;
  readonly #call: LoggedCall;
  readonly #traceId: string;
  readonly #spanId = hex(16);
  readonly #parentId: string;
  readonly #flags: string;
  readonly #began = performance.now();
  readonly #wall = wallMicroseconds();
  #fd = -1;
  #step = '';
  #since = 0;
  #told: unknown;

  /** Begins with a step of that name; without one it has no steps. Never throws. */
  constructor(call: LoggedCall, step: string) {
    this.#call = call;
    const parent = traceParent(call.env.TRACEPARENT);
    this.#traceId = parent?.traceId ?? hex(32);
    this.#parentId = parent?.spanId ?? '';
    this.#flags = parent?.flags ?? '01';
    this.#step = step;
    const path = call.env.CNI_LOG ?? '';
    try {
      const flags = openFlags.writeOnly | openFlags.create | openFlags.append;
      this.#fd = openFile(path, flags, logMode);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** What a program that this call runs is told: that it is part of it. */
  get traceParent(): string {
    return `00-${this.#traceId}-${this.#spanId}-${this.#flags}`;
  }

  /** Whether it is written, as far as is known by now. */
  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  get traceId(): string {
    return this.#traceId;
  }

  /** The step that went on is over, and this one begins. Returns the name of the one before. */
  step(what: string): string {
    const before = this.#step;
    this.#endStep();
    this.#step = what;
    return before;
  }

  /** The step that goes on has failed; what follows is another one. An error is told once, on its way through the calls. */
  failed(error: unknown): void {
    if (this.#told === error || (this.#told !== undefined && this.#step === cleanUp)) return;
    this.#told = error;
    this.#endStep(error);
    this.#step = cleanUp;
  }

  /** The call is over. */
  end(error?: unknown): void {
    // The writing of the last step's line is no part of the call any more.
    const to = this.#now();
    this.#endStep(error === undefined || this.#told !== undefined ? undefined : error, to);
    this.#write({ from: 0, to, step: undefined, error });
    if (this.#fd >= 0) closeFile(this.#fd);
    this.#fd = -1;
  }

  #now(): number {
    return Math.round((performance.now() - this.#began) * 1000);
  }

  #endStep(error?: unknown, to = this.#now()): void {
    const from = this.#since;
    this.#since = to;
    if (this.#step === '' || (to === from && error === undefined)) return;
    this.#write({ from, to, step: this.#step, error });
  }

  #write(part: { from: number; to: number; step: string | undefined; error: unknown }): void {
    if (this.#fd < 0) return;
    const { kind, plugin, env } = this.#call;
    const { from, to, step, error } = part;
    const line: LogLine = {
      time: timeText(this.#wall + from),
      traceId: this.#traceId,
      spanId: this.#spanId,
      ...(this.#parentId && { parentId: this.#parentId }),
      kind,
      verb: env.CNI_COMMAND ?? '',
      plugin,
      network: this.network,
      container: env.CNI_CONTAINERID ?? '',
      interface: env.CNI_IFNAME ?? '',
      ...(step !== undefined && { step: this.#masked(step) }),
      duration: to - from,
      pid: process.pid,
      ...(error !== undefined && { error: this.#reason(error) }),
    };
    try {
      writeWhole(this.#fd, new TextEncoder().encode(`${JSON.stringify(line)}\n`), env.CNI_LOG ?? '');
    } catch (failure) {
      closeFile(this.#fd);
      this.#fd = -1;
      this.#giveUp(failure);
    }
  }

  #giveUp(error: unknown): void {
    this.#call.note(`the log of CNI_LOG is not written: ${errorText(error)}\n`);
  }

  /** What a configuration that could not be read is quoted with may be anything. */
  #reason(error: unknown): string {
    const known = error instanceof CniError ? error : toCniError(error);
    if (this.json === undefined && this.#call.kind === 'plugin')
      return `the call was not understood (code ${known.code})`;
    return this.#masked(oneLine(known));
  }

  #secrets: string[] | undefined;

  #masked(text: string): string {
    if (this.#secrets === undefined) {
      if (this.json === undefined) return text;
      this.#secrets = [];
      collectSecrets(this.json, this.#secrets);
      for (const pair of (this.#call.env.CNI_ARGS ?? '').split(';')) {
        const at = pair.indexOf('=');
        if (at > 0 && isSecretKey(pair.slice(0, at))) this.#secrets.push(pair.slice(at + 1));
      }
    }
    let masked = text;
    for (const secret of this.#secrets) {
      if (secret !== '') masked = masked.split(secret).join('…');
    }
    return masked;
  }
}

/** The texts and numbers under keys that say they are secret, at any depth. */
function collectSecrets(json: unknown, into: string[], secret = false): void {
  if (typeof json === 'string' || typeof json === 'number') {
    if (secret) into.push(String(json));
    return;
  }
  if (typeof json !== 'object' || json === null) return;
  for (const [key, value] of Object.entries(json)) collectSecrets(value, into, secret || isSecretKey(key));
}

interface Parent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: string;
}

/** `00-‹32 hex digits›-‹16›-‹2›`, or a later version that begins so; undefined for anything else, as the W3C says. */
export function traceParent(text = ''): Parent | undefined {
  const [version = '', traceId = '', spanId = '', flags = '', ...more] = text.toLowerCase().split('-');
  if (!isHex(version, 2) || version === 'ff' || (version === '00' && more.length > 0)) return undefined;
  if (!isHex(traceId, 32) || !isHex(spanId, 16) || !isHex(flags, 2)) return undefined;
  if (isZero(traceId) || isZero(spanId)) return undefined;
  return { traceId, spanId, flags };
}

function isHex(text: string, digits: number): boolean {
  return text.length === digits && [...text].every((digit) => hexDigits.includes(digit));
}

function isZero(text: string): boolean {
  return [...text].every((digit) => digit === '0');
}

/** By chance, and never all zero. */
function hex(digits: number): string {
  let text = '';
  while (text.length < digits) text += hexDigits[Math.floor(Math.random() * 16)];
  return isZero(text) ? `${text.slice(1)}1` : text;
}

function timeText(microseconds: number): string {
  const ms = Math.floor(microseconds / 1000);
  const rest = String(microseconds - ms * 1000).padStart(3, '0');
  return new Date(ms).toISOString().replace('Z', `${rest}Z`);
}
