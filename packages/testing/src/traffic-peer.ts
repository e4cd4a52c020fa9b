/**
 * A program that tests run in a namespace: it listens on ports, answering with its name and the port, and tries others
 * on demand. One JSON request a line comes in, one JSON answer a line goes out.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface Probe {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** Source port; any when left out. */
  readonly from?: number;
}
/** Who answered (`c1:80`), and the address it saw the client under. */
export interface Answer {
  readonly name: string;
  readonly client: string;
}

const [, , name = '', ports = ''] = process.argv;
const patience = 400;

async function listen(port: number): Promise<void> {
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined); // reason: a client that leaves early is none of our business
    socket.end(answer(port, socket.remoteAddress ?? ''));
  });
  const udp = createSocket({ type: 'udp6' });
  udp.on('message', (_, { address, port: to }) => udp.send(answer(port, address), to, address));
  await Promise.all([
    new Promise<void>((done) => tcp.listen(port, '::', done)),
    new Promise<void>((done) => udp.bind(port, '::', done)),
  ]);
}

function answer(port: number, client: string): string {
  return JSON.stringify({ name: `${name}:${port}`, client: client.replace(/^::ffff:/, '') });
}

/** Who answered to the stream since the last question. */
let heard = new Set<string>();

/** A datagram every ten milliseconds from one port, without ever pausing. */
function stream({ address, port, from }: Probe): void {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  // A port that is closed for a moment is part of the test.
  socket.on('error', () => undefined);
  socket.on('message', (message) => heard.add(JSON.parse(String(message)).name));
  socket.bind(from ?? 0, () => setInterval(() => socket.send('?', port, address, () => undefined), 10));
}

/** Milliseconds between the times when this program looks whether there is something to answer … */
const often = 5;
/** … and the longest that there were since the last question, where the machine had other things to do. */
let longest = 0;
let looked: number | undefined;

/** From the first question on. */
function longestPause(): number {
  const now = performance.now();
  if (looked === undefined) setInterval(look, often);
  looked ??= now;
  look();
  const answer = longest;
  longest = 0;
  return answer;
}

function look(): void {
  const now = performance.now();
  longest = Math.max(longest, now - (looked ?? now));
  looked = now;
}

function probe({ protocol, address, port, from }: Probe): Promise<Answer | undefined> {
  return new Promise((done) => {
    const timer = setTimeout(() => finish(undefined), patience);
    let end = () => {};
    const finish = (text: string | undefined) => {
      clearTimeout(timer);
      end();
      done(text ? JSON.parse(text) : undefined);
    };
    if (protocol === 'tcp') {
      let text = '';
      const socket = connect({ host: address, port, ...(from ? { localPort: from } : {}) });
      end = () => socket.resetAndDestroy();
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('end', () => finish(text));
      socket.on('error', () => finish(undefined));
    } else {
      const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
      end = () => socket.close();
      socket.on('error', () => finish(undefined));
      socket.on('message', (message) => finish(String(message)));
      // Not connected: a host of several addresses may answer under another than the one it was asked under.
      socket.bind(from ?? 0, () => socket.send('?', port, address));
    }
  });
}

let held: Socket | undefined;

/** Opens a connection and keeps it. */
function hold({ address, port }: Probe): Promise<boolean> {
  const socket = connect({ host: address, port });
  held = socket;
  return new Promise((done) => {
    socket.on('connect', () => done(true));
    socket.on('error', () => done(false));
  });
}

/** What comes back by the connection that is kept; null when nothing does. */
function echo(text: string): Promise<string | null> {
  return new Promise((done) => {
    const timer = setTimeout(() => done(null), patience);
    held?.once('data', (chunk) => {
      clearTimeout(timer);
      done(String(chunk));
    });
    held?.write(text);
  });
}

await Promise.all(
  ports
    .split(',')
    .filter(Boolean)
    .map((port) => listen(Number(port))),
);
process.stdout.write('"ready"\n');
for await (const line of createInterface(process.stdin)) {
  const request:
    | Probe[]
    | { stream: Probe }
    | { hold: Probe }
    | { echo: string }
    | { longestPause: true }
    | { heard: true } = JSON.parse(line);
  let reply: unknown = [...heard];
  if (Array.isArray(request)) {
    reply = (await Promise.all(request.map(probe))).map((one) => one ?? null);
  } else if ('stream' in request) {
    stream(request.stream);
  } else if ('hold' in request) {
    reply = await hold(request.hold);
  } else if ('echo' in request) {
    reply = await echo(request.echo);
  } else if ('longestPause' in request) {
    reply = longestPause();
  } else {
    heard = new Set();
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
process.exit(0);
