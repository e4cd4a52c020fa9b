/** The one form in which an error leaves a plugin (CNI specification, section 6), written and read. */
import { CniError } from '@cni-ts/spec/cni-error';

export interface ErrorObject {
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** Without details that the message says already. */
export function errorObject({ code, message: msg, details }: CniError): ErrorObject {
  const isSaid = details === '' || msg === details || msg.endsWith(`: ${details}`);
  return isSaid ? { code, msg } : { code, msg, details };
}

/** Throws where it is no such object. */
export function readErrorObject(json: unknown): CniError {
  if (typeof json !== 'object' || Array.isArray(json)) throw new Error('it is not an object');
  const { code, msg, details } = { code: null, msg: null, details: null, ...json };
  if (code !== null && !(Number.isInteger(code) && Number(code) >= 0)) {
    throw new Error(`code is ${JSON.stringify(code)}, expected a number`);
  }
  return new CniError(Number(code ?? 0), words(msg, 'msg'), words(details, 'details'));
}

function words(value: unknown, key: string): string {
  if (value === null) return '';
  if (typeof value !== 'string') throw new Error(`${key} is ${JSON.stringify(value)}, expected a string`);
  return value;
}
