/** The options of DHCPv6 as one table. */

/** What a message carries, by the table's names; unknown options are in `others`, by code, in order. */
export interface Options6 {
  clientId?: Uint8Array;
  serverId?: Uint8Array;
  ia?: IaNa[];
  requestList?: number[];
  preference?: number;
  /** Hundredths of a second, at most 65535. */
  elapsed?: number;
  status?: Status6;
  rapidCommit?: true;
  dnsServers?: string[];
  domainSearch?: string[];
  sntpServers?: string[];
  ntpServers?: string[];
  informationRefresh?: number;
  solMaxRt?: number;
  infMaxRt?: number;
  vendorClass?: Uint8Array;
  userClass?: Uint8Array;
  others?: [code: number, payload: Uint8Array][];
}

/** An identity association for addresses. Times are seconds; 0xffffffff is for ever, 0 leaves it to the client. */
export interface IaNa {
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  readonly addresses: readonly IaAddress[];
  readonly status?: Status6;
}

export interface IaAddress {
  readonly address: string;
  readonly preferred: number;
  readonly valid: number;
  readonly status?: Status6;
}

export interface Status6 {
  readonly code: number;
  readonly message: string;
}

export const StatusCode6 = {
  success: 0,
  unspecFail: 1,
  noAddrsAvail: 2,
  noBinding: 3,
  notOnLink: 4,
  useMulticast: 5,
} as const;
