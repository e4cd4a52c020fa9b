/**
 * A container image whose entry point is `cnitool install`, as an OCI image layout in one file that podman, skopeo and
 * containerd load. One layer for each processor, with the plugins' program once: its names are hard links, since nobody
 * copies over them there, and each of them can be called.
 */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { licenceText } from './archive.ts';
import { type Built, programNames } from './programs.ts';
import type { Release } from './release-notes.ts';
import { hashOf, tar } from './tar.ts';

/** Where the programs lie in the image: /opt/cni/bin is where the host's folder is mounted. */
const home = 'opt/cni-ts/bin';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Writes the image of all processors into `into` and returns its path. `work`: an empty folder. */
export async function writeImage(
  all: readonly Built[],
  { version, date }: Release,
  into: string,
  work: string,
): Promise<string> {
  const layout = join(work, 'layout');
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (file: string, mediaType: string): Descriptor => {
    const hash = hashOf('sha256', file);
    const descriptor = { mediaType, digest: `sha256:${hash}`, size: statSync(file).size };
    renameSync(file, join(blobs, hash));
    return descriptor;
  };
  const putJson = (value: object, kind: string): Descriptor => {
    const file = join(work, 'json');
    writeFileSync(file, JSON.stringify(value));
    return put(file, `application/vnd.oci.image.${kind}+json`);
  };
  const created = new Date(date * 1000).toISOString();
  const annotations = {
    'org.opencontainers.image.title': 'cni-ts',
    'org.opencontainers.image.description':
      'CNI plugins; puts them into /opt/cni/bin, where the host’s is mounted',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.created': created,
  };
  const manifests: object[] = [];
  for (const built of all) {
    const plain = await layer(built, date, join(work, built.architecture));
    const diff = `sha256:${hashOf('sha256', plain)}`;
    await execa('gzip', ['-n', plain], { env: { GZIP: undefined } });
    const config = putJson(
      {
        created,
        architecture: built.architecture,
        os: 'linux',
        config: {
          Entrypoint: [`/${home}/cnitool`, 'install'],
          Env: [`PATH=/${home}`],
          WorkingDir: '/',
          Labels: annotations,
        },
        rootfs: { type: 'layers', diff_ids: [diff] },
        history: [{ created, created_by: 'npm run package' }],
      },
      'config.v1',
    );
    const layers = [put(`${plain}.gz`, 'application/vnd.oci.image.layer.v1.tar+gzip')];
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = putJson({ schemaVersion: 2, mediaType, config, layers, annotations }, 'manifest.v1');
    manifests.push({ ...manifest, platform: { architecture: built.architecture, os: 'linux' } });
  }
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const images = putJson({ schemaVersion: 2, mediaType, manifests, annotations }, 'index.v1');
  const name = `cni-ts:v${version}`;
  const named = {
    ...images,
    // containerd looks for the second.
    annotations: {
      'org.opencontainers.image.ref.name': name,
      'io.containerd.image.name': `localhost/${name}`,
    },
  };
  const json = (name: string, value: object) => writeFileSync(join(layout, name), JSON.stringify(value));
  json('oci-layout', { imageLayoutVersion: '1.0.0' });
  json('index.json', { schemaVersion: 2, mediaType, manifests: [named] });
  const file = join(into, `cni-ts-image-v${version}.tar`);
  for (const folder of ['blobs', 'blobs/sha256']) chmodSync(join(layout, folder), 0o755);
  const contents = readdirSync(blobs).sort();
  for (const name of contents) chmodSync(join(blobs, name), 0o644);
  for (const name of ['oci-layout', 'index.json']) chmodSync(join(layout, name), 0o644);
  const members = contents.map((name) => `blobs/sha256/${name}`);
  await tar(layout, ['oci-layout', 'index.json', 'blobs', 'blobs/sha256', ...members], file, { date });
  return file;
}

/** The layer as a tar file. */
async function layer(built: Built, date: number, work: string): Promise<string> {
  const bin = join(work, home);
  mkdirSync(bin, { recursive: true });
  for (const name of programNames) {
    linkSync(join(built.folder, name), join(bin, name));
    chmodSync(join(bin, name), 0o755);
  }
  writeFileSync(join(work, 'opt/cni-ts/LICENSE'), licenceText(built.parts));
  chmodSync(join(work, 'opt/cni-ts/LICENSE'), 0o644);
  const folders = ['opt', 'opt/cni-ts', home];
  for (const folder of folders) chmodSync(join(work, folder), 0o755);
  const file = join(work, 'layer.tar');
  rmSync(file, { force: true });
  const members = [...folders, 'opt/cni-ts/LICENSE', ...programNames.map((name) => `${home}/${name}`)];
  await tar(work, members, file, { date });
  return file;
}
