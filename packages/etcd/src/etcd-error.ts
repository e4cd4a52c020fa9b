/** What went wrong between us and etcd, as a sentence for an operator. */

export type EtcdTrouble =
  | 'unreachable' // no endpoint answers
  | 'untrusted' // TLS: one side does not trust the other
  | 'unauthenticated' // name or password
  | 'forbidden' // the user has no permission for the keys
  | 'unavailable' // it answers, and cannot serve: no leader, no quorum
  | 'full' // its database has no room
  | 'compacted' // a watch asks for what is gone
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

/** gRPC's status codes as etcd uses them. */
const resourceExhausted = 8;
const permissionDenied = 7;
const outOfRange = 11;
const unavailable = 14;
const unauthenticated = 16;

/** What etcd answered instead of a result: `{code, message}`, in 3.4 also `error`. `write`: whether the request could have
 *  changed something. */
export function answeredError(endpoint: string, status: number, body: string, write: boolean): EtcdError {
  let code = 0;
  let text = body.slice(0, 200);
  try {
    const json: { code?: unknown; message?: unknown; error?: unknown } = JSON.parse(body);
    if (typeof json.code === 'number') code = json.code;
    const told = json.message ?? json.error;
    if (typeof told === 'string') text = told;
  } catch {
    // A proxy's page, or nothing: the status says what there is to say.
  }
  const says = `etcd at ${endpoint} says: ${text || `HTTP status ${status}`}`;
  const cure = 'Check the name and password of the etcd user';
  if (
    code === unauthenticated ||
    /auth token|user name is empty|authentication failed|invalid user/i.test(text)
  ) {
    return new EtcdError('unauthenticated', `${says}. ${cure}`);
  }
  if (code === permissionDenied || /permission denied/i.test(text)) {
    return new EtcdError(
      'forbidden',
      `${says}. Grant the user's role read and write on the prefix of the keys ("etcdctl role grant-permission --prefix ROLE readwrite PREFIX")`,
    );
  }
  if (code === resourceExhausted || /space exceeded/i.test(text)) {
    return new EtcdError('full', `${says}. Compact and defragment etcd, then "etcdctl alarm disarm"`);
  }
  if (code === outOfRange || /compacted/i.test(text)) return new EtcdError('compacted', says);
  if (
    code === unavailable ||
    [503, 504].includes(status) ||
    /no leader|timed out|leader changed|stopped/i.test(text)
  ) {
    return new EtcdError(
      'unavailable',
      `${says}. Has it a majority of its members? ("etcdctl endpoint status --cluster")`,
      { unknown: write },
    );
  }
  if (status === 404) {
    return new EtcdError(
      'refused',
      `${endpoint} does not know etcd's JSON gateway: is it etcd 3.4 or later, with --enable-grpc-gateway?`,
    );
  }
  return new EtcdError('refused', says, { unknown: write && status >= 500 });
}

/** Why there was no answer. `sent`: whether the request may have reached etcd. */
export function connectionError(endpoint: string, thrown: unknown, write: boolean, sent: boolean): EtcdError {
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  const unknown = write && sent;
  const about = `no answer from etcd at ${endpoint}`;
  const text = cause.message.replace(/\s+/g, ' ').trim() || 'the connection ended';
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code) && !/^ERR_SSL/.test(code)) {
    return new EtcdError(
      'untrusted',
      `${about}: its certificate is not trusted (${text}). Give the certificate of the authority that signed it`,
      { cause },
    );
  }
  if (/^ERR_SSL|^EPROTO|^ERR_TLS/.test(code)) {
    return new EtcdError(
      'untrusted',
      `${about}: TLS failed (${text}). It may want a client certificate that its authority signed, or speak no TLS`,
      { unknown, cause },
    );
  }
  return new EtcdError('unreachable', `${about}: ${text}`, { unknown, cause });
}
