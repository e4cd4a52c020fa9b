/** Which options a configuration asks for and sends along: `ipam.request` and `ipam.provide`. */

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
export class OptionError extends Error {}

/** CNI_ARGS as the reference's DHCP plugin reads it: at `;`, then at the first `=`; what has no `=` is skipped. */
export function parseDhcpArgs(_args: string): Map<string, string> {
  throw new Error('not written yet');
}

/**
 * The parameter request list (option 55): the configured ones in their order, then 3 and 1 unless `skipDefault`, then
 * `more`; each once. An empty one is not sent. Throws OptionError.
 */
export function requestedOptions4(_request: readonly Request[], _more: readonly number[] = []): number[] {
  throw new Error('not written yet');
}

/** What is sent besides, by code; a later entry replaces an earlier one. Text becomes UTF-8. Throws OptionError. */
export function providedOptions4(
  _provide: readonly Provide[],
  _args: ReadonlyMap<string, string>,
): Map<number, Uint8Array> {
  throw new Error('not written yet');
}

/** The code of a configured option: a name of the table, or 0 to 255 in decimal. Throws OptionError. */
export function parseOptionCode(_option: string): number {
  throw new Error('not written yet');
}

/** Option 61 of the reference: a zero byte, then container id/network/interface, cut to 254 bytes. */
export function clientIdOf(_containerId: string, _network: string, _ifname: string): Uint8Array {
  throw new Error('not written yet');
}
