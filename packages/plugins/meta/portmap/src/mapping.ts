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

/** `192.168.0.2:8080`, `[2001:db8::1]:53` */
export function endpointText({ address, port }: { readonly address: Ip; readonly port: number }): string {
  return `${address.family === 4 ? formatIp(address) : `[${formatIp(address)}]`}:${port}`;
}

/** `tcp 192.168.0.2:8080`, `udp *:53` */
export function hostPortText({ protocol, address, port }: HostPort): string {
  return `${protocol} ${address ? endpointText({ address, port }) : `*:${port}`}`;
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
  for (const [i, one] of given.entries()) eachNumber(one, i, '', (number) => number > 0);
}

/** The numbers of one mapping, the container's first. */
function eachNumber(
  { containerPort = 0, hostPort = 0 }: Given,
  i: number,
  more: string,
  isFine: (number: number) => boolean,
): void {
  for (const [name, number] of [['container', containerPort] as const, ['host', hostPort] as const]) {
    if (!isFine(number)) throw invalid(`Invalid ${name} port number: ${number}`, i, `${name}Port`, more);
  }
}

/**
 * The mappings as values, in their order, without repetitions. What could never work is refused, naming the field.
 * Only ADD and CHECK ask: DEL must not fail for a mapping that was never made.
 */
export function readMappings(given: readonly Given[]): Mapping[] {
  const read: Mapping[] = [];
  for (const [i, one] of given.entries()) {
    eachNumber(one, i, ' (invalid port/service)', (number) => number <= 65535);
    const { containerPort = 0, hostPort = 0, protocol = '', hostIP = '' } = one;
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
    const same = read.find(
      (other) =>
        overlaps(other, mapping) && other.families.some((family) => mapping.families.includes(family)),
    );
    if (!same) read.push(mapping);
    else if (!repeats(same, mapping)) {
      const what = `Host port ${hostPortText(mapping)} is mapped twice`;
      throw invalid(what, i, 'hostPort', `: ${hostPortText(same)} is taken above`);
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

/** Who has a port that somebody else asks for. */
export interface Holder {
  readonly port: HostPort;
  readonly containerId: string;
  /** Its network and interface, as far as its rules tell. */
  readonly more: string;
}

/** What ADD answers before it has changed anything. */
export function portTaken({ port, containerId, more }: Holder): CniError {
  return new CniError(
    ErrorCode.internal,
    `host port ${hostPortText(port)} is held by container ${containerId} (${more})`,
    'run DEL for that container, or GC for its network if it does not exist any more, or publish another host port',
  );
}
