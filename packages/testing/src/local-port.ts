/** Ports of servers that a test has opened. */
import type { Server } from 'node:net';

/** Where it listens; 0 for one that does not. */
export function portOf(server: Pick<Server, 'address'>): number {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}
