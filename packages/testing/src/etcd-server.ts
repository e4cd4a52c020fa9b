/** A real etcd for a test: on free ports of the loopback, in a folder of its own, gone with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { memberFlags } from './etcd-program.ts';
import { portOf } from './local-port.ts';

export interface EtcdOptions {
  /** Listens on a socket in its folder instead of a port. */
  readonly unix?: boolean;
  /** Options of the program besides. */
  readonly flags?: readonly string[];
  /** https, with these files. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
}

/** What goes wrong is noticed soon, and told on stderr. */
const soon = ['--heartbeat-interval', '50', '--election-timeout', '500', '--log-outputs', 'stderr'] as const;

export class EtcdServer {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #args: readonly string[];
  #child: ChildProcess;
  #said = '';
  /** Of all its releases: "serving client traffic insecurely", "… securely". */
  #serves = false;

  private constructor(folder: string, endpoint: string, args: readonly string[]) {
    this.#folder = folder;
    this.endpoint = endpoint;
    this.#args = args;
    this.#child = this.#spawn();
  }

  /** One that is alone, and answers. */
  static async start({ flags = [], tls, unix = false }: EtcdOptions = {}): Promise<EtcdServer> {
    const [client, peer] = await freePorts(2);
    const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${client}`;
    const folder = mkdtempSync(join(tmpdir(), 'etcd-'));
    const server = new EtcdServer(folder, unix ? `unix://${folder}/client:0` : endpoint, [
      ...memberFlags(
        'one',
        `${folder}/data`,
        unix ? 'unix://client:0' : endpoint,
        `http://127.0.0.1:${peer}`,
      ),
      ...['--initial-cluster', `one=http://127.0.0.1:${peer}`],
      ...(tls ? ['--cert-file', tls.cert, '--key-file', tls.key] : []),
      ...(tls?.clientCa === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', tls.clientCa]),
      ...flags,
    ]);
    await server.#ready();
    return server;
  }

  /** Members of one cluster. */
  static async cluster(size: number): Promise<EtcdServer[]> {
    const ports = await freePorts(2 * size);
    const peers = ports.slice(size).map((port) => `http://127.0.0.1:${port}`);
    const all = peers.map((peer, i) => `m${i}=${peer}`).join();
    const members = peers.map((peer, i) => {
      const endpoint = `http://127.0.0.1:${ports[i]}`;
      const folder = mkdtempSync(join(tmpdir(), 'etcd-'));
      const flags = [...memberFlags(`m${i}`, `${folder}/data`, endpoint, peer), '--initial-cluster', all];
      return new EtcdServer(folder, endpoint, flags);
    });
    await Promise.all(members.map((one) => one.#ready()));
    return members;
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** As after a crash; its folder stays. */
  async kill(): Promise<void> {
    const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
    const end = ended ? undefined : new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await end;
  }

  async startAgain(): Promise<void> {
    this.#serves = false;
    this.#child = this.#spawn();
    await this.#ready();
  }

  /** Keeps what it has on disk, or puts it back, as a person does with a snapshot. It has to be dead. */
  copyData(way: 'keep' | 'put back'): void {
    const folders = [`${this.#folder}/data`, `${this.#folder}/copy`] as const;
    const [from, to] = way === 'keep' ? folders : folders.toReversed();
    rmSync(to!, { recursive: true, force: true });
    cpSync(from!, to!, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(): ChildProcess {
    // Whoever made it may be killed, as a test's worker that takes too long: it ends with that thread.
    const command = ['--pdeathsig', 'KILL', 'etcd', ...soon, ...this.#args];
    const child = spawn('setpriv', command, {
      cwd: this.#folder, // it makes its socket here
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, ETCD_UNSUPPORTED_ARCH: process.arch },
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#serves ||= text.includes('serving client traffic');
      this.#said = `${this.#said}${text}`.slice(-4000);
    });
    child.on('error', (error) => {
      this.#said += error.message;
    });
    return child;
  }

  async #ready(): Promise<void> {
    for (let tries = 0; tries < 180; tries++) {
      if (this.#serves) return;
      if (this.#child.exitCode !== null) break;
      await pause(50);
    }
    throw new Error(`etcd at ${this.endpoint} is not ready within nine seconds: ${this.#said}`);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(portOf(server)));
        }),
    ),
  );
  for (const server of servers) server.close();
  return ports;
}
