/** A hundred containers with published ports, and somebody in the world who keeps a session with each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { Netns } from '@cni-ts/libc/netns';
import type { Lab } from './lab.ts';

/** Listens on port 80 of each container and sends back what it gets. Returns how to end that. */
export function echoIn(containers: readonly string[]): () => void {
  const servers: Server[] = containers.map((path) => {
    const netns = Netns.open(path);
    const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
    // Without a host the socket is made at once, and so inside.
    netns.run(() => server.listen(80));
    netns.close();
    return server;
  });
  return () => {
    for (const server of servers) server.close();
  };
}

const client = `
const { connect } = require('node:net');
const [address, first, count] = process.argv.slice(1);
const ports = Array.from({ length: Number(count) }, (_, i) => Number(first) + i);
const open = (port) => new Promise((done) => {
  const socket = connect({ port, host: address }, () => done(socket));
  socket.on('error', () => done(undefined));
  socket.setTimeout(1000, () => { if (socket.connecting) { socket.destroy(); done(undefined); } });
});
const echo = (socket, word) => new Promise((done) => {
  if (!socket || socket.destroyed || !socket.writable) return done(false);
  const timer = setTimeout(() => done(false), 1000);
  socket.once('data', (data) => { clearTimeout(timer); done(String(data) === word); });
  socket.write(word);
});
let kept = [];
const commands = {
  open: async () => { kept = await Promise.all(ports.map(open)); return kept.map(Boolean); },
  kept: () => Promise.all(kept.map((one, i) => echo(one, 'kept' + i))),
  fresh: () => Promise.all(ports.map(async (port) => {
    const socket = await open(port);
    const answered = await echo(socket, 'fresh');
    socket?.destroy();
    return answered;
  })),
};
require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  console.log(JSON.stringify(await commands[line]()));
}).on('close', () => process.exit());
`;

/** Somebody beyond the uplink, with a session to each of a row of ports. */
export class Visitor {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(lab: Lab, firstPort: number, count: number) {
    const world = Netns.open(lab.world);
    const args = ['-e', client, lab.uplinkAddress, String(firstPort), String(count)];
    this.#child = world.run(() => spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    world.close();
    // reason: both are pipes
    this.#lines = createInterface({ input: this.#child.stdout! });
  }

  /** How many sessions could be opened, are alive (a word comes back within a second), or can be made and used now. */
  ask(what: 'open' | 'kept' | 'fresh'): Promise<number> {
    return new Promise((done) => {
      this.#lines.once('line', (line) => done((JSON.parse(line) as boolean[]).filter(Boolean).length));
      this.#child.stdin!.write(`${what}\n`);
    });
  }

  leave(): void {
    this.#child.kill();
  }
}
