/** TLS and client certificates, with an authority of the test's own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdServer } from '@cni-ts/testing/etcd-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EtcdClient } from './etcd-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'etcd-tls-'));
const file = (name: string) => join(folder, name);
let server: EtcdServer;

/** A key, and its certificate by an authority; by itself where that has the same name. */
function certificate(name: string, authority: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  const subject = ['-subj', `/CN=${name}`, '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  if (name === authority) {
    openssl('req', '-x509', '-days', '2', ...subject, '-out', `${name}.pem`);
    return;
  }
  writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  openssl('req', ...subject, '-out', `${name}.csr`);
  openssl(
    ...['x509', '-req', '-days', '2', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey'],
    ...[`${authority}.key`, '-CAcreateserial', '-extfile', 'ext', '-out', `${name}.pem`],
  );
}

beforeAll(async () => {
  for (const [name, authority] of [
    ['ca', 'ca'],
    ['other', 'other'],
    ['server', 'ca'],
    ['client', 'ca'],
    ['stranger', 'other'],
  ] as const)
    certificate(name, authority);
  server = await EtcdServer.start({
    tls: { cert: file('server.pem'), key: file('server.key'), clientCa: file('ca.pem') },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const client = (caFile: string | undefined, name?: string, endpoint = server.endpoint) =>
  new EtcdClient({
    endpoints: [endpoint],
    ...(caFile && { caFile: file(caFile) }),
    ...(name && { certFile: file(`${name}.pem`), keyFile: file(`${name}.key`) }),
  });

test('a client certificate of the authority is let in', async () => {
  const etcd = client('ca.pem', 'client');
  await etcd.put('/x', '1');
  expect((await etcd.range('/x')).keys[0]?.value).toBe('1');
  etcd.close();
});

test.each([
  [
    'no authority',
    () => client(undefined, 'client'),
    /certificate is not trusted .*Give the certificate of the authority/,
  ],
  ['another authority', () => client('other.pem', 'client'), /certificate is not trusted/],
  ['no client certificate', () => client('ca.pem'), /TLS failed .*client certificate/],
  ["a stranger's client certificate", () => client('ca.pem', 'stranger'), /TLS failed .*client certificate/],
  [
    'a file that is not there',
    () => client('nothing.pem', 'client'),
    /nothing\.pem for etcd's TLS cannot be read/,
  ],
  [
    'no TLS',
    () => client(undefined, undefined, server.endpoint.replace('https', 'http')),
    /no answer from etcd at http:/,
  ],
])('%s: the error says so', async (_, make, says) => {
  const etcd = make();
  await expect(etcd.put('/x', '1')).rejects.toMatchObject({
    name: 'EtcdError',
    message: expect.stringMatching(says),
  });
  etcd.close();
});

test('files that change are read again', async () => {
  const { copyFileSync } = await import('node:fs');
  for (const end of ['pem', 'key']) copyFileSync(file(`stranger.${end}`), file(`renewed.${end}`));
  const etcd = client('ca.pem', 'renewed');
  await expect(etcd.put('/x', '1')).rejects.toThrow(/TLS failed/);
  for (const end of ['pem', 'key']) copyFileSync(file(`client.${end}`), file(`renewed.${end}`));
  await etcd.put('/x', '2');
  etcd.close();
});

test('while a certificate and its key do not fit each other those before count; without any, the error names the files', async () => {
  const { copyFileSync } = await import('node:fs');
  for (const end of ['pem', 'key']) copyFileSync(file(`client.${end}`), file(`half.${end}`));
  const etcd = client('ca.pem', 'half');
  await etcd.put('/x', '1');
  copyFileSync(file('stranger.pem'), file('half.pem'));
  await etcd.put('/x', '2');
  const fresh = client('ca.pem', 'half');
  await expect(fresh.put('/x', '3')).rejects.toThrow(
    /half\.pem, .*half\.key\): .*the key that of the certificate/,
  );
  copyFileSync(file('stranger.key'), file('half.key'));
  await expect(etcd.put('/x', '4')).rejects.toThrow(/TLS failed/);
  etcd.close();
});
