/** Where a member of etcd listens. */
import type { RequestOptions } from 'node:http';

export interface Endpoint {
  readonly text: string;
  readonly tls: boolean;
  readonly where: RequestOptions;
}

/** `https://host:2379`, `http://host:2379`, `host:2379` or `unix:///path`. `tls`: what one without a scheme speaks. Throws an
 *  Error for anything else. */
export function parseEndpoint(text: string, tls: boolean): Endpoint {
  if (text.startsWith('unix://')) {
    return { text, tls: false, where: { socketPath: text.slice('unix://'.length), host: 'localhost' } };
  }
  const url = URL.parse(text.includes('://') ? text : `${tls ? 'https' : 'http'}://${text}`);
  const known = url && ['http:', 'https:'].includes(url.protocol) && url.hostname !== '';
  if (!known || url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new Error(
      `${JSON.stringify(text)} is no endpoint of etcd: write https://host:2379, http://host:2379 or unix:///path`,
    );
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // Without a port in the text, etcd's own and not the web's.
  const port = /:\d+\/?$/.test(text) ? Number(url.port || (url.protocol === 'https:' ? 443 : 80)) : 2379;
  return { text, tls: url.protocol === 'https:', where: { host, port } };
}
