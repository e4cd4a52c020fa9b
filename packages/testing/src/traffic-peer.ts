/**
 * A program that tests run in a namespace: it listens on ports, answering with its name, and tries others on demand.
 * One JSON request a line comes in, one JSON answer a line goes out.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';

/** `answer`: who answered and the address it saw the client under; undefined when nobody did. */
export interface Probe {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** Source port; any when left out. */
  readonly from?: number;
}
export interface Answer {
  readonly name: string;
  readonly client: string;
}

const [, , name = '', ports = ''] = process.argv;
const patience = 400;

async function listen(port: number): Promise<void> {
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined); // reason: a client that leaves early is none of our business
    socket.end(JSON.stringify({ name, client: plain(socket.remoteAddress ?? '') }));
  });
  const udp = createSocket({ type: 'udp6' });
  udp.on('message', (_, { address, port: to }) =>
    udp.send(JSON.stringify({ name, client: plain(address) }), to, address),
  );
  await Promise.all([
    new Promise<void>((done) => tcp.listen(port, '::', done)),
    new Promise<void>((done) => udp.bind(port, '::', done)),
  ]);
}

function plain(address: string): string {
  return address.replace(/^::ffff:/, '');
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
      // Connected, so that only an answer from the address asked counts.
      socket.bind(from ?? 0, () =>
        socket.connect(port, address, (error?: Error) => error || socket.send('?')),
      );
    }
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
  const answers = await Promise.all((JSON.parse(line) as Probe[]).map(probe));
  process.stdout.write(`${JSON.stringify(answers.map((one) => one ?? null))}\n`);
}
process.exit(0);
