import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { Netns } from './netns.ts';
import { hasUdpPort } from './socket-table.ts';

test.for(['udp4', 'udp6'] as const)('a port is taken while a socket of %s has it', async (type) => {
  Netns.unshareThread();
  const socket = createSocket(type);
  expect(hasUdpPort(5353)).toBe(false);
  // Binding happens on this thread, so in its namespace.
  socket.bind(5353);
  await once(socket, 'listening');
  expect([hasUdpPort(5353), hasUdpPort(5354)]).toEqual([true, false]);
  socket.close();
  // Node closes it a moment later.
  await vi.waitFor(() => expect(hasUdpPort(5353)).toBe(false));
});
