/**
 * Traffic between namespaces, and how much of it arrives. Counted by the kernel's IP layer, behind whatever limits or
 * drops packets on the way, so that it does not matter when a process of the test gets the CPU.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Netns } from '@cni-ts/libc/netns';
import { writeSysctl } from '@cni-ts/libc/sysctl';

/** A program of a few lines, run by the JavaScript runtime of the test in a namespace. */
function script(netns: Netns, text: string, ...args: (string | number)[]): ChildProcess {
  const given = args.map(String);
  return netns.run(() =>
    spawn(process.execPath, ['-e', text, ...given], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
}

/** UDP datagrams of 1300 bytes to the discard port, at `bitsPerSecond` of payload. Returns how to stop it. */
export function flood(from: Netns, address: string, bitsPerSecond: number): () => void {
  const child = script(
    from,
    `const [, address, rate] = process.argv;
     const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
     socket.on('error', () => {});
     const datagram = Buffer.alloc(1300);
     const begin = performance.now();
     let sent = 0;
     setInterval(() => {
       const due = (performance.now() - begin) / 1000 * rate / 8 / 1300;
       for (; sent < due; sent++) socket.send(datagram, 9, address, () => {});
     }, 4);
     setTimeout(() => process.exit(), 60000);`,
    address,
    bitsPerSecond,
  );
  return () => void child.kill();
}

/** A TCP connection that carries `bytes` (no end by default). `done` is settled with the milliseconds it took. */
export async function stream(from: Netns, to: Netns, address: string, bytes = Number.POSITIVE_INFINITY) {
  const server = script(
    to,
    `const [, bytes] = process.argv;
     let left = Number(bytes);
     const server = require('node:net').createServer((socket) => {
       socket.on('error', () => process.exit());
       socket.on('data', ({ length }) => {
         left -= length;
         if (left <= 0) { console.log('done'); process.exit(); }
       });
     });
     server.listen(5201, () => console.log('ready'));
     setTimeout(() => process.exit(), 60000);`,
    bytes,
  );
  const says = (word: string) =>
    new Promise<void>((heard) => server.stdout?.on('data', (text) => String(text).includes(word) && heard()));
  await says('ready');
  const done = says('done');
  // It sends what the limit lets through. BBR, the default of some kernels, sends what it takes the path for, and on a busy
  // machine that falls to a twentieth of the limit and stays there.
  from.run(() => writeSysctl('net/ipv4/tcp_congestion_control', 'reno'));
  const begin = performance.now();
  const client = script(
    from,
    `const [, address, bytes] = process.argv;
     let left = Number(bytes);
     const socket = require('node:net').connect(5201, address);
     socket.on('error', () => process.exit());
     const more = () => {
       while (left > 0) {
         const size = Math.min(left, 65536);
         left -= size;
         if (!socket.write(Buffer.alloc(size))) return socket.once('drain', more);
       }
     };
     more();
     setTimeout(() => process.exit(), 60000);`,
    address,
    bytes,
  );
  return {
    done: done.then(() => performance.now() - begin),
    stop() {
      client.kill();
      server.kill();
    },
  };
}

/** Bytes that the namespace's IPv4 received, with an Ethernet header for each packet: what a link's limit counts. */
function receivedBytes(netns: Netns): number {
  const ethernetHeader = 14;
  const [snmp, netstat] = netns.run(() => [
    readFileSync('/proc/thread-self/net/snmp', 'utf8'),
    readFileSync('/proc/thread-self/net/netstat', 'utf8'),
  ]) as [string, string]; // reason: an array literal of two, which TypeScript takes for a list
  return counter(netstat, 'IpExt', 'InOctets') + ethernetHeader * counter(snmp, 'Ip', 'InReceives');
}

/** /proc/net/snmp and netstat: a line of names, then one of values. */
function counter(text: string, group: string, name: string): number {
  const [names, values] = text.split('\n').filter((line) => line.startsWith(`${group}: `));
  const at = names?.split(' ').indexOf(name) ?? -1;
  const value = values?.split(' ')[at];
  if (at < 0 || value === undefined) throw new Error(`the kernel does not count ${group} ${name}`);
  return Number(value);
}

/** Counter and clock as of one moment: read again when the CPU went to somebody else in between. */
function observe(netns: Netns): { readonly bytes: number; readonly at: number } {
  for (let patience = 50; ; patience--) {
    const at = performance.now();
    const bytes = receivedBytes(netns);
    if (performance.now() - at < 5 || patience === 0) return { bytes, at };
  }
}

/** What was seen of a limit. */
export interface Observed {
  /** Bits per second, a figure for each second from the first packet on. */
  readonly rates: number[];
  /** Those that were more than a tenth above the limit. */
  readonly above: number[];
  /** Whether enough seconds in a row were not more than a tenth below it. */
  readonly steady: boolean;
}

/**
 * Watches what arrives in a namespace while somebody sends more than `rate` bits per second, until `seconds` in a row
 * were as they should be. It is waited for them, since on a busy machine a sender may lack the CPU for a while; but
 * never may more get through.
 */
export async function observeLimit(netns: Netns, rate: number, seconds: number): Promise<Observed> {
  const silent = receivedBytes(netns) + 1000; // what links say of themselves
  for (let patience = 2000; patience > 0 && receivedBytes(netns) < silent; patience--) await pause(5);
  const rates: number[] = [];
  let inARow = 0;
  let before = observe(netns);
  for (let second = 0; second < seconds + 8 && inARow < seconds; second++) {
    await pause(1000);
    const now = observe(netns);
    const seen = ((now.bytes - before.bytes) * 8000) / (now.at - before.at);
    before = now;
    rates.push(Math.round(seen));
    inARow = seen < rate * 0.9 ? 0 : inARow + 1;
  }
  return { rates, above: rates.filter((seen) => seen > rate * 1.1), steady: inARow >= seconds };
}
