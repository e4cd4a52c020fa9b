/** What went wrong between us and etcd, as a sentence for an operator. */

export type EtcdTrouble =
  | 'unreachable' // no endpoint answers
  | 'untrusted' // TLS: one side does not trust the other
  | 'unauthenticated' // name or password
  | 'forbidden' // the user has no permission for the keys
  | 'unavailable' // it answers, and cannot serve: no leader, no quorum, too much to do
  | 'full' // its database has no room
  | 'compacted' // what is asked for is gone
  | 'restored' // it is not the etcd that it was, or is as it was before
  | 'refused'; // anything else that it answers

export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  readonly trouble: EtcdTrouble;
  /** Whether a write may have happened all the same. */
  readonly unknown: boolean;
  constructor(
    trouble: EtcdTrouble,
    message: string,
    { unknown = false, cause }: { unknown?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.trouble = trouble;
    this.unknown = unknown;
  }
}

/** Authentication is asked for, and this etcd knows none: no request needs a token. */
export class NoAuthentication extends EtcdError {}

/** gRPC's status codes (grpc/codes) as etcd uses them. */
const invalidArgument = 3;
const permissionDenied = 7;
const resourceExhausted = 8;
const failedPrecondition = 9;
const outOfRange = 11;
const unavailable = 14;
const unauthenticated = 16;
/** With these etcd tells why it has not done what was asked. */
const certainlyNot = [
  invalidArgument,
  5, // NotFound
  6, // AlreadyExists
  permissionDenied,
  resourceExhausted,
  failedPrecondition,
  outOfRange,
  12, // Unimplemented
  unauthenticated,
];

/** What etcd answered instead of a result: `{code, message}`, in 3.4 also `error`; in a stream `{error: {grpc_code, message}}`.
 *  `write`: whether the request could have changed something. */
export function answeredError(endpoint: string, status: number, body: string, write: boolean): EtcdError {
  const { code, text } = toldBy(body);
  const says = `etcd at ${endpoint} says: ${text || `HTTP status ${status}`}`;
  if (/authentication is not enabled/.test(text)) return new NoAuthentication('refused', says);
  if (isUnauthenticated(code, text)) {
    return new EtcdError(
      'unauthenticated',
      `${says}. Check the name and password of the etcd user; a certificate alone names no user here`,
    );
  }
  if (code === permissionDenied || /permission denied/i.test(text)) {
    return new EtcdError(
      'forbidden',
      `${says}. Grant the user's role read and write on the prefix of the keys ("etcdctl role grant-permission --prefix ROLE readwrite PREFIX")`,
    );
  }
  if (/space exceeded/i.test(text)) {
    return new EtcdError(
      'full',
      `${says}. Compact and defragment etcd ("etcdctl compact REVISION", "etcdctl defrag"), then "etcdctl alarm disarm"`,
    );
  }
  if (/too many requests/i.test(text)) {
    return new EtcdError('unavailable', `${says}. It has more to do than it can: is its disk slow?`);
  }
  if (/for learner/i.test(text)) {
    return new EtcdError('unavailable', `${says}. Name members that vote ("etcdctl member list")`);
  }
  if (code === outOfRange || /compacted/i.test(text)) return new EtcdError('compacted', says);
  const isAway =
    code === unavailable || status === 504 || /no leader|timed out|leader changed|server stopped/i.test(text);
  if (isAway || (code === 0 && [502, 503].includes(status))) {
    return new EtcdError(
      'unavailable',
      `${says}. Has it a majority of its members? ("etcdctl endpoint status --cluster")`,
      { unknown: write },
    );
  }
  if (status === 404 && code === 0) {
    return new EtcdError(
      'refused',
      `${endpoint} does not know etcd's JSON gateway: is it etcd 3.4 or later, with --enable-grpc-gateway?`,
    );
  }
  // Without a code of etcd's it is something in between that answers: it gave up waiting, or has not passed the request on.
  const isNot = code === 0 ? status < 500 && ![408, 499].includes(status) : certainlyNot.includes(code);
  return new EtcdError('refused', says, { unknown: write && !isNot });
}

function toldBy(body: string): { readonly code: number; readonly text: string } {
  const short = body.slice(0, 200).replace(/\s+/g, ' ').trim();
  try {
    const json: unknown = JSON.parse(body);
    const inner = member(json, 'error');
    const told = typeof inner === 'object' && inner !== null ? inner : json;
    const code = member(told, 'code') ?? member(told, 'grpc_code');
    const text = member(told, 'message') ?? member(told, 'error');
    return {
      code: typeof code === 'number' ? code : 0,
      text: typeof text === 'string' ? text.slice(0, 500) : short,
    };
  } catch {
    // A proxy's page, or nothing: the status says what there is to say.
    return { code: 0, text: short };
  }
}

function member(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null && name in json
    ? (json as Record<string, unknown>)[name] // just seen
    : undefined;
}

/** Also of a token that was good: it has ended, or etcd's users have been changed since (`revision of auth store is old`). */
function isUnauthenticated(code: number, text: string): boolean {
  if (code === unauthenticated) return true;
  return /auth token|user name is empty|authentication failed|invalid user|user name not found|auth store is old|revision in header is old/i.test(
    text,
  );
}

/** Why a certificate is not taken, by Node's and OpenSSL's codes. */
const certificateCures: readonly (readonly [RegExp, string])[] = [
  [/ALTNAME/, 'Name the endpoint as its certificate does, or give it a certificate for this name'],
  [/EXPIRED/, 'Renew it, and look at the clocks of both sides'],
  [/NOT_YET_VALID/, 'Look at the clocks of both sides'],
  [/./, 'Give the certificate of the authority that signed it'],
];

const connectionCures: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Is etcd running there?',
  ECONNRESET: 'Is it etcd, and does it speak TLS (https://) there?',
  ENOTFOUND: 'There is no host of this name',
  EAI_AGAIN: 'The name could not be looked up',
  ENETUNREACH: 'There is no route to it',
  EHOSTUNREACH: 'There is no way to it',
  ENOENT: 'There is no such socket: is etcd running?',
  EACCES: 'This user may not use the socket',
};

/** Why there was no answer. `sent`: whether the request may have reached etcd. */
export function connectionError(endpoint: string, thrown: unknown, write: boolean, sent: boolean): EtcdError {
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  const about = `no answer from etcd at ${endpoint}`;
  const text = cause.message.replace(/\s+/g, ' ').trim() || code || 'the connection ended';
  // OpenSSL's own codes begin with ERR_SSL; these are of Node's look at the certificate, before anything is sent.
  if (/CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|INVALID_CA/.test(code) && !code.startsWith('ERR_SSL')) {
    const cure = certificateCures.find(([pattern]) => pattern.test(code))?.[1] ?? '';
    const what = `its certificate is not trusted (${text})`;
    return new EtcdError('untrusted', `${about}: ${what}. ${cure}`, { cause });
  }
  if (/^ERR_SSL|^EPROTO|^ERR_TLS/.test(code)) {
    // A server that refuses the client's certificate has read nothing but that.
    const refused = /ALERT/.test(code) && /CERT|UNKNOWN_CA/.test(code);
    return new EtcdError(
      'untrusted',
      `${about}: TLS failed (${text}). It may want a client certificate that its authority signed, or speak no TLS`,
      { unknown: write && sent && !refused, cause },
    );
  }
  const cure = connectionCures[code];
  return new EtcdError('unreachable', `${about}: ${text}${cure === undefined ? '' : `. ${cure}`}`, {
    unknown: write && sent,
    cause,
  });
}

/** Nothing came in time. */
export function lateError(endpoint: string, milliseconds: number, write: boolean, sent: boolean): EtcdError {
  const what = sent ? 'answer from' : 'connection to';
  const cure = sent ? 'Is it overloaded, or its disk slow?' : 'Is there a firewall, or is the machine off?';
  return new EtcdError(
    'unreachable',
    `no ${what} etcd at ${endpoint} within ${Math.ceil(milliseconds)} ms. ${cure}`,
    { unknown: write && sent },
  );
}
