/**
 * What goes over the daemon's socket: the reference's protocol (Go's net/rpc by gob), so that either side may be the
 * Go one. Both sides go by the names of fields; fields and methods that the reference lacks are marked as ours.
 */
import { list, struct, text } from './gob-types.ts';

/** The reference's, unless a configuration or a flag says otherwise. */
export const defaultSocket = '/run/cni/dhcp.sock';

/** First words of each side. */
export const hello = 'CONNECT /_goRPC_ HTTP/1.0\n\n';
export const welcome = 'HTTP/1.0 200 Connected to Go RPC\n\n';

export const methods = {
  allocate: 'DHCP.Allocate',
  release: 'DHCP.Release',
  /** Ours: whether a lease is held as it should be. */
  check: 'DHCP.Check',
  /** Ours: releases all leases of a network but those of the attachments in `cni.dev/valid-attachments`. */
  collect: 'DHCP.Collect',
  /** Ours: whether a lease could be given, as far as it is the daemon's to say. */
  status: 'DHCP.Status',
} as const;

export const requestType = struct('Request', { ServiceMethod: text, Seq: 'uint' });
export const responseType = struct('Response', { ServiceMethod: text, Seq: 'uint', Error: text });

/** The body of all methods. */
export const argumentsType = struct('CmdArgs', {
  ContainerID: text,
  Netns: text,
  IfName: text,
  Args: text,
  Path: text,
  NetnsOverride: text,
  StdinData: 'bytes',
});

/** The body of an answer that has none. */
export const nothing = struct('', {});

const texts = list('[]string', text);
const network = struct('IPNet', { IP: 'bytes', Mask: 'bytes' });
const address = struct('IPConfig', { Interface: 'int', Address: network, Gateway: 'bytes' });
const route = struct('Route', {
  Dst: network,
  GW: 'bytes',
  MTU: 'int',
  AdvMSS: 'int',
  Priority: 'int',
  Table: 'int',
  Scope: 'int',
});
const link = struct('Interface', {
  Name: text,
  Mac: text,
  Mtu: 'int',
  Sandbox: text,
  SocketPath: text,
  PciID: text,
});
const dns = struct('DNS', { Nameservers: texts, Domain: text, Search: texts, Options: texts });

/** The body of Allocate's answer. */
export const resultType = struct('Result', {
  CNIVersion: text,
  Interfaces: list('[]*types100.Interface', link),
  IPs: list('[]*types100.IPConfig', address),
  Routes: list('[]*types.Route', route),
  DNS: dns,
  // Ours; who does not know them skips them.
  NTP: texts,
  /** There was no lease before this call, so whoever called may give it back. */
  Fresh: 'bool',
});
