/**
 * The options of DHCPv6 as one table: reading and writing come from it. Numbers are IANA's ("DHCPv6 Parameters"),
 * meanings RFC 8415's unless said otherwise.
 */
import {
  bytes,
  codes,
  flag,
  iaNa,
  ips,
  type Kind6,
  names,
  ntp,
  status,
  u8,
  u16,
  u32,
} from './option-kinds6.ts';
import { addOption6, readOptions6 } from './option-list6.ts';

export type { IaAddress, IaNa, Status6 } from './option-kinds6.ts';

interface Row<T> {
  readonly code: number;
  readonly kind: Kind6<T>;
}

function row<T>(code: number, kind: Kind6<T>): Row<T> {
  return { code, kind };
}

const table = {
  clientId: row(1, bytes),
  serverId: row(2, bytes),
  /** Those for temporary addresses (4) and prefixes (25) are among `others`. */
  ia: row(3, iaNa),
  requestList: row(6, codes),
  preference: row(7, u8),
  /** Hundredths of a second, at most 65535. */
  elapsed: row(8, u16),
  status: row(13, status),
  rapidCommit: row(14, flag),
  userClass: row(15, bytes),
  vendorClass: row(16, bytes),
  /** RFC 3646, like 24. */
  dnsServers: row(23, ips),
  domainSearch: row(24, names),
  /** RFC 4075, which RFC 5908 replaces. */
  sntpServers: row(31, ips),
  /** Seconds until options without a lease are to be asked for again. */
  informationRefresh: row(32, u32),
  /** RFC 5908: addresses and names; multicast groups are left out. */
  ntpServers: row(56, ntp),
  /** Seconds, 60 to 86400. */
  solMaxRt: row(82, u32),
  infMaxRt: row(83, u32),
};

type Values = { [N in keyof typeof table]: (typeof table)[N] extends Row<infer T> ? T : never };
export type OptionName6 = keyof Values;

/** What a message carries, by the table's names; options the table does not have are in `others`, in order. */
export type Options6 = Partial<Values> & { others?: [code: number, payload: Uint8Array][] };

export const StatusCode6 = {
  success: 0,
  unspecFail: 1,
  noAddrsAvail: 2,
  noBinding: 3,
  notOnLink: 4,
  useMulticast: 5,
} as const;

const all = Object.keys(table) as OptionName6[]; // reason: the keys of an object literal are those of its type
const nameByCode = new Map<number, OptionName6>(all.map((name) => [table[name].code, name]));

/** The number of an option. */
export function codeOf6(name: OptionName6): number {
  return table[name].code;
}

/** Reads the options from `start` to the end of the message. A malformed one counts as absent. Throws MalformedPacket
 *  for a length that leads past the end. */
export function readOptionTable6(message: Uint8Array, start: number): Options6 {
  const options: Options6 = {};
  const values = options as Record<string, unknown>; // reason: each value is read by its own row
  readOptions6(message, start, message.length, (code, payload) => {
    const name = nameByCode.get(code);
    if (name === undefined) {
      options.others ??= [];
      options.others.push([code, payload.slice()]);
      return;
    }
    const kind = table[name].kind as Kind6<unknown>; // reason: as above
    const value = values[name];
    if (value !== undefined && kind.add === undefined) return;
    const read = kind.read(payload);
    if (read === undefined) return;
    if (value === undefined) values[name] = read;
    else kind.add?.(value, read);
  });
  return options;
}

/** Adds the options to the pieces of a message. Throws RangeError for what cannot be said, such as an address that is
 *  none. */
export function addOptionTable6(pieces: Uint8Array[], options: Options6): void {
  for (let i = 0; i < all.length; i++) {
    const name = all[i]!;
    const value = options[name];
    if (value === undefined) continue;
    const { code, kind } = table[name] as unknown as Row<unknown>; // reason: the value is this row's own
    const payloads = kind.write(value);
    for (let j = 0; j < payloads.length; j++) addOption6(pieces, code, payloads[j]!);
  }
  for (const [code, payload] of options.others ?? []) addOption6(pieces, code, payload);
}
