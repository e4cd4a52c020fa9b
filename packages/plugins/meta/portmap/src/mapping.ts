import { equalIp, formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import * as z from 'zod/mini';

/** `runtimeConfig.portMappings` as runtimes write it. */
export const portMappings = () =>
  z.array(
    z.object({
      hostPort: z.optional(z.int()),
      containerPort: z.optional(z.int()),
      protocol: z.optional(z.string()),
      hostIP: z.optional(z.string()),
    }),
  );
type Given = z.output<ReturnType<typeof portMappings>>[number];

const protocols = ['tcp', 'udp', 'sctp'] as const;
export type Protocol = (typeof protocols)[number];

/** What a packet is sent to on the host for a mapping to apply. */
export interface HostPort {
  readonly protocol: Protocol;
  readonly port: number;
  /** Any address of the host when undefined. */
  readonly address: Ip | undefined;
}

/** A mapping for the families it is for. */
export interface Mapping extends HostPort {
  readonly families: readonly (4 | 6)[];
  readonly containerPort: number;
}

/** `tcp 192.168.0.2:8080`, `udp *:53` */
export function hostPortText({ protocol, address, port }: HostPort): string {
  if (!address) return `${protocol} *:${port}`;
  return `${protocol} ${address.family === 4 ? formatIp(address) : `[${formatIp(address)}]`}:${port}`;
}

/** Whether a packet could be meant for both. */
export function overlaps(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.port !== b.port) return false;
  return !a.address || !b.address || equalIp(a.address, b.address);
}

/** Whether both are the same to the last member. */
export function samePort(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.port !== b.port) return false;
  return a.address && b.address ? equalIp(a.address, b.address) : a.address === b.address;
}

/** The checks that every verb makes, in the reference's words. */
export function checkNumbers(given: readonly Given[]): void {
  for (const [i, { containerPort = 0, hostPort = 0 }] of given.entries()) {
    if (containerPort <= 0)
      throw invalid(`Invalid container port number: ${containerPort}`, i, 'containerPort');
    if (hostPort <= 0) throw invalid(`Invalid host port number: ${hostPort}`, i, 'hostPort');
  }
}

/**
 * The mappings as values, in their order, without repetitions. What could never work is refused, naming the field.
 * Only ADD and CHECK ask: DEL must not fail for a mapping that was never made.
 */
export function readMappings(given: readonly Given[]): Mapping[] {
  const read: Mapping[] = [];
  for (const [i, { containerPort = 0, hostPort = 0, protocol = '', hostIP = '' }] of given.entries()) {
    if (containerPort > 65535) {
      throw invalid(
        `Invalid container port number: ${containerPort}`,
        i,
        'containerPort',
        ' (invalid port/service)',
      );
    }
    if (hostPort > 65535) {
      throw invalid(`Invalid host port number: ${hostPort}`, i, 'hostPort', ' (invalid port/service)');
    }
    const known = protocols.find((one) => one === protocol.toLowerCase());
    if (!known)
      throw invalid(`Invalid protocol: "${protocol}"`, i, 'protocol', ': expected tcp, udp or sctp');
    const ip = parseIp(hostIP);
    if (hostIP !== '' && !ip) throw invalid(`Invalid host IP address: "${hostIP}"`, i, 'hostIP');
    const mapping: Mapping = {
      protocol: known,
      port: hostPort,
      containerPort,
      families: ip ? [ip.family] : [4, 6],
      // The unspecified address stands for all of its family.
      address: ip?.bytes.some((byte) => byte !== 0) ? ip : undefined,
    };
    const same = read.findIndex(
      (one) => overlaps(one, mapping) && one.families.some((family) => mapping.families.includes(family)),
    );
    if (same < 0) read.push(mapping);
    else if (!repeats(read[same]!, mapping)) {
      const other = hostPortText(read[same]!);
      throw invalid(
        `Host port ${hostPortText(mapping)} is mapped twice`,
        i,
        'hostPort',
        `: ${other} is taken above`,
      );
    }
  }
  return read;
}

/** The second says nothing new. */
function repeats(first: Mapping, second: Mapping): boolean {
  return (
    first.containerPort === second.containerPort &&
    (!first.address || second.address !== undefined) &&
    second.families.every((family) => first.families.includes(family))
  );
}

function invalid(message: string, index: number, field: string, more = ''): CniError {
  return new CniError(ErrorCode.internal, message, `runtimeConfig.portMappings[${index}].${field}${more}`);
}
