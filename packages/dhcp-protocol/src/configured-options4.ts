/** Which options a configuration asks for and sends along: `ipam.request` and `ipam.provide`. */
import { codeOf4, configuredCode4, type RawOptions4 } from './options4.ts';

export interface Request {
  /** A name such as `routers`, or a number as text. */
  readonly option?: string;
  /** Drops 3 and 1, which are asked for otherwise. */
  readonly skipDefault?: boolean;
}

export interface Provide {
  readonly option: string;
  readonly value?: string;
  /** A key of CNI_ARGS. When it is there, its value is sent instead of `value`. */
  readonly fromArg?: string;
}

/** What a configuration says is no option; the message has the reference's words. */
export class OptionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OptionError';
  }
}

const encoder = new TextEncoder();
/** A payload longer than this is sent in pieces, which servers seldom read for what clients send. */
const longestProvided = 255;
const longestClientId = 254;

/** CNI_ARGS as the reference's DHCP plugin reads it: at `;`, then at the first `=`; what has no `=` is skipped. */
export function parseDhcpArgs(args: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const pair of args.split(';')) {
    const at = pair.indexOf('=');
    if (at >= 0) found.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return found;
}

/**
 * The parameter request list (option 55): the configured ones in their order, then 3 and 1 unless `skipDefault`, then
 * `more`; each once. An empty one is not sent. Throws OptionError.
 */
export function requestedOptions4(request: readonly Request[], more: readonly number[] = []): number[] {
  const codes: number[] = [];
  const add = (code: number) => {
    if (!codes.includes(code)) codes.push(code);
  };
  let skipDefault = false;
  for (const entry of request) {
    if (entry.skipDefault === true) skipDefault = true;
    if (entry.option !== undefined && entry.option !== '') add(parseOptionCode(entry.option));
  }
  if (!skipDefault) {
    add(codeOf4('routers'));
    add(codeOf4('subnetMask'));
  }
  more.forEach(add);
  return codes;
}

/** What is sent besides, by code; a later entry replaces an earlier one. Text becomes UTF-8. Throws OptionError. */
export function providedOptions4(
  provide: readonly Provide[],
  args: ReadonlyMap<string, string>,
): RawOptions4 {
  const options: RawOptions4 = new Map();
  for (const { option, value = '', fromArg = '' } of provide) {
    const code = parseOptionCode(option);
    const argument = fromArg === '' ? undefined : args.get(fromArg);
    const text = argument ?? value;
    if (text === '' && argument === undefined) continue;
    const payload = encoder.encode(text);
    if (payload.length > longestProvided) {
      const from = argument === undefined ? '' : ` from CNI_ARGS "${fromArg}"`;
      throw new OptionError(`value too long for option "${option}"${from}: "${value}"`);
    }
    options.set(code, payload);
  }
  return options;
}

/** The code of a configured option: a name of the table, or 0 to 255 in decimal. Throws OptionError. */
export function parseOptionCode(option: string): number {
  const named = configuredCode4(option);
  if (named !== undefined) return named;
  let code = 0;
  for (let i = 0; i < option.length; i++) {
    const digit = option.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) throw noOption(option, 'invalid syntax');
    code = Math.min(code * 10 + digit, 256); // enough to say that it is too much
  }
  if (option === '') throw noOption(option, 'invalid syntax');
  if (code > 255) throw noOption(option, 'value out of range');
  return code;
}

function noOption(option: string, why: string): OptionError {
  const text = JSON.stringify(option);
  return new OptionError(
    `Can not parse option ${text}: Can not parse option: strconv.ParseUint: parsing ${text}: ${why}`,
  );
}

/** Option 61 of the reference: a zero byte, then container id/network/interface, cut to 254 bytes. */
export function clientIdOf(containerId: string, network: string, ifname: string): Uint8Array {
  const text = encoder.encode(`${containerId}/${network}/${ifname}`);
  const id = new Uint8Array(1 + Math.min(text.length, longestClientId));
  id.set(text.subarray(0, longestClientId), 1);
  return id;
}
