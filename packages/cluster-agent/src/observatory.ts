/** What others see of the agent: /metrics for Prometheus, /healthz (it runs), /readyz (it can claim). */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { Agent } from './agent.ts';
import type { Metrics } from './metrics.ts';
import { parseListen } from './settings.ts';

export class Observatory {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws where the address or path is taken. */
  static async open(
    listen: string,
    { registry }: Pick<Metrics, 'registry'>,
    agent: Pick<Agent, 'trouble'>,
  ): Promise<Observatory> {
    const server = createServer({ requestTimeout: 5000, headersTimeout: 5000 }, async (request, response) => {
      const path = request.url?.split('?')[0];
      if (request.method !== 'GET' && request.method !== 'HEAD') return void response.writeHead(405).end();
      if (path === '/metrics') {
        response.setHeader('content-type', registry.contentType);
        response.end(await registry.metrics());
      } else if (path === '/healthz') response.end('ok\n');
      else if (path === '/readyz') {
        const trouble = agent.trouble;
        response.statusCode = trouble.length > 0 ? 503 : 200;
        response.end(trouble.length > 0 ? trouble.map((one) => `${one}\n`).join('') : 'ok\n');
      } else response.writeHead(404).end('there are /metrics, /healthz and /readyz\n');
    });
    server.maxConnections = 64;
    const where = parseListen(listen);
    if ('path' in where) rmSync(where.path, { force: true });
    await new Promise<void>((done, fail) => {
      server.once('error', fail);
      server.listen(where, () => done());
    });
    if ('path' in where) chmodSync(where.path, 0o660);
    return new Observatory(server);
  }

  get address() {
    return this.#server.address();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}
