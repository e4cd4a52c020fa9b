/** Lets in who connects to the daemon's socket, and sees to it that there is one to connect to. */
import type { Watch } from '@cni-ts/libc/event-loop';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Around } from './around.ts';
import { type OpenListener, ownListener } from './listener.ts';
import { type Call, RpcConnection } from './rpc-connection.ts';

/** A node has some hundred containers, each with a call at a time. */
const mostConnections = 2000;
/** Before connections are taken again after one could not be; milliseconds. */
const pauseWithoutDescriptors = 200;

export class DoorKeeper {
  readonly #around: Around;
  readonly #serve: (call: Call) => void;
  readonly #connections = new Set<RpcConnection>();
  #opened: OpenListener;
  #watch: Watch;
  /** What was said of a socket that is not ours any more: said once. */
  #said = '';

  /** `serve`: given each call; it answers. */
  constructor(around: Around, opened: OpenListener, serve: (call: Call) => void) {
    this.#around = around;
    this.#serve = serve;
    this.#opened = opened;
    this.#watch = this.#attend();
  }

  #attend(): Watch {
    const watch: Watch = { fd: this.#opened.listener.fd, readable: () => this.#accept() };
    this.#around.loop.watch(watch);
    return watch;
  }

  #accept(): void {
    const { loop, log } = this.#around;
    const mayCome = this.#connections.size < mostConnections;
    try {
      const stream = mayCome ? this.#opened.listener.accept() : undefined;
      if (stream) {
        const ended = () => this.#connections.delete(connection);
        const connection = new RpcConnection(loop, stream, this.#serve, ended);
        this.#connections.add(connection);
        return;
      }
      if (mayCome) return;
    } catch (error) {
      log(`a connection could not be taken: ${errorText(error)}`);
    }
    // Too many, or no descriptors: who waits there would wake us at once, and again.
    const watch = this.#watch;
    loop.unwatch(watch);
    loop.after(pauseWithoutDescriptors, () => {
      if (watch === this.#watch) loop.watch(watch);
    });
  }

  /**
   * To be called every second: a socket whose file was removed, by hand or with /run, is made anew, or no plugin would find
   * us. One that systemd passed is systemd's to make. What has come in its place is left, and told once.
   */
  look(): void {
    const { own } = this.#opened;
    if (!own) return;
    try {
      const found = own.look();
      if (found === 'another')
        this.#sayOnce(`the socket ${own.path} was replaced by another's: no plugin finds this daemon there`);
      if (found !== 'gone') return;
      const former = this.#opened;
      this.#opened = ownListener(own.path, false);
      this.#around.loop.unwatch(this.#watch);
      former.listener.close();
      this.#watch = this.#attend();
      this.#said = '';
      this.#around.log(`the socket ${own.path} was removed, and is made anew`);
    } catch (error) {
      this.#sayOnce(`the socket ${own.path} cannot be made anew: ${errorText(error)}`);
    }
  }

  #sayOnce(text: string): void {
    if (text !== this.#said) this.#around.log(text);
    this.#said = text;
  }

  /** Nobody is let in any more, and who is in must go. */
  close(): void {
    this.#around.loop.unwatch(this.#watch);
    this.#opened.listener.close();
    this.#opened.own?.remove();
    for (const connection of [...this.#connections]) connection.close();
  }
}
