import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { type HostPort, hostPortText } from './mapping.ts';

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
