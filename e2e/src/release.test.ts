/**
 * What `npm run package` makes: archives, bills of materials, the image, and the same bytes again in another folder. That
 * other folder compiles the engine once more for this machine's processor; for the other one it is given this folder's
 * objects, since the same command compiles both and each takes a third of a minute.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleTool } from '@cni-ts/bundle/javascript';
import { foreignPackages } from '@cni-ts/bundle/licences';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { programNames } from '@cni-ts/release/programs';
import { currentRelease } from '@cni-ts/release/release-notes';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineRoom, whyNot } from './engine-room.ts';

const needed = ['aarch64-linux-gnu-gcc', 'qemu-aarch64'];
const lacking =
  process.arch === 'x64' ? needed.filter((name) => !existsSync(`/usr/bin/${name}`)) : ['an x64 machine'];
const noPodman = await whyNot();

const folder = mkdtempSync(join(tmpdir(), 'cni-release-'));
const first = join(folder, 'first');
const { version } = currentRelease();
const plugins = programNames.filter((name) => name !== 'cnitool');
const foreign = foreignPackages((await bundleTool()).sources, workspaceRoot).map(({ name }) => name);
let told: string;

/** Runs `npm run package` in a workspace; what it printed. */
async function packed(workspace: string, into: string): Promise<string> {
  const args = ['--disable-warning=ExperimentalWarning', 'tools/release/src/package.ts', '--into', into];
  return (await execa(process.execPath, args, { cwd: workspace })).stdout;
}

/** The workspace in a folder of another name: its sources, and what npm and the package archive have given it. */
function copied(): string {
  const copy = join(folder, 'elsewhere/by/another/name');
  const sources = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: workspaceRoot,
  });
  for (const file of new Set(sources.toString().split('\0'))) {
    if (file !== '' && existsSync(join(workspaceRoot, file))) take(file);
  }
  for (const file of globSync('.cache/quickjs-{source,arm64}-*', { cwd: workspaceRoot })) take(file);
  take('node_modules/@cni-ts');
  for (const name of foreign) take(`node_modules/${name}`);
  for (const name of readdirSync(join(workspaceRoot, 'node_modules'))) {
    const link = join(copy, 'node_modules', name);
    if (!existsSync(link)) symlinkSync(join(workspaceRoot, 'node_modules', name), link);
  }
  return copy;

  function take(path: string): void {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    // Links among the packages stay as they are: relative, so that they lead to the copy's.
    cpSync(join(workspaceRoot, path), join(copy, path), { recursive: true, verbatimSymlinks: true });
  }
}

const archive = (architecture: string) => `cni-ts-plugins-linux-${architecture}-v${version}.tgz`;

/** An archive's files in a folder of their own. */
function unpacked(architecture: string, ...members: string[]): string {
  const into = mkdtempSync(join(folder, 'unpacked-'));
  execFileSync('tar', ['-xzf', join(first, archive(architecture)), '-C', into, ...members], {
    stdio: 'pipe',
  });
  return into;
}

function versionOf(file: string): string {
  const env = { CNI_COMMAND: 'VERSION' };
  return execFileSync(file, { env, input: '', encoding: 'utf8' });
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(lacking.length > 0)(
  `a release${lacking.length > 0 ? `, for which ${lacking} is missing` : ''}`,
  () => {
    beforeAll(async () => {
      // It compiles the engines where nothing has yet.
      told = await packed(workspaceRoot, first);
    }, 180_000);
    afterAll(() => rmSync(folder, { recursive: true }));

    test('built in another folder has the same bytes', async () => {
      const second = join(folder, 'second');
      mkdirSync(second);
      for (const name of ['notes', 'cni-ts-plugins-linux-amd64-v0.0.9.tgz'])
        writeFileSync(join(second, name), '');
      await packed(copied(), second);
      const hashes = (of: string) =>
        readdirSync(of).map((name) => `${name} ${sha256(readFileSync(join(of, name)))}`);
      // What lay there is of another release and gone, or somebody's own.
      rmSync(join(second, 'notes'));
      expect(hashes(second)).toEqual(hashes(first));
      expect(readdirSync(first)).toContain(archive('amd64'));
      // It compiles an engine, beside another test.
    }, 240_000);

    test.each(['amd64', 'arm64'])(
      'the archive for %s is flat, of root, and has every name',
      (architecture) => {
        const list = execFileSync('tar', ['-tvzf', join(first, archive(architecture))], { encoding: 'utf8' });
        const rows = list
          .trim()
          .split('\n')
          .map((line) => line.split(/\s+/));
        const programs = programNames.map((name) => `-rwxr-xr-x root/root ./${name}`);
        const texts = ['LICENSE', 'README.md', 'cnitool.8'].map((name) => `-rw-r--r-- root/root ./${name}`);
        const byName = (one: string, other: string) => (one.slice(11) < other.slice(11) ? -1 : 1);
        expect(rows.map(([mode, owner, , , , name]) => `${mode} ${owner} ${name}`)).toEqual(
          [...texts, ...programs].sort(byName),
        );
      },
    );

    test('its checksums are those that sha256sum and sha512sum compute', () => {
      for (const algorithm of ['sha256', 'sha512']) {
        const lists = globSync(`*.${algorithm}`, { cwd: first });
        expect(lists).toHaveLength(readdirSync(first).length / 3);
        const { stdout, status } = spawnSync(`${algorithm}sum`, ['--check', ...lists], {
          cwd: first,
          encoding: 'utf8',
        });
        expect(
          stdout
            .trim()
            .split('\n')
            .filter((line) => !line.endsWith(': OK')),
        ).toEqual([]);
        expect(status).toBe(0);
      }
    });

    test('each of its files is what cnitool install writes, and no two are one', () => {
      const from = unpacked('amd64');
      const into = join(folder, 'installed');
      execFileSync(join(from, 'cnitool'), ['install', '--dir', into]);
      expect(readdirSync(into).sort()).toEqual([...programNames]);
      for (const name of programNames) {
        expect(sha256(readFileSync(join(from, name))), name).toBe(sha256(readFileSync(join(into, name))));
        expect(statSync(join(from, name)).nlink, name).toBe(1);
      }
    });

    test('one plugin can be unpacked alone, as images of others do', () => {
      const into = unpacked('amd64', './host-local');
      expect(readdirSync(into)).toEqual(['host-local']);
      expect(JSON.parse(versionOf(join(into, 'host-local')))).toHaveProperty('supportedVersions');
    });

    test('its licence file has the terms of everything in the programs', () => {
      const text = readFileSync(join(unpacked('amd64', './LICENSE'), 'LICENSE'), 'utf8');
      for (const words of [
        'Apache License',
        'QuickJS',
        'Rich Felker',
        ...foreign.map((name) => `\n${name} `),
      ]) {
        expect(text).toContain(words);
      }
      expect(readFileSync(join(unpacked('arm64', './LICENSE'), 'LICENSE'), 'utf8')).toContain('\nglibc ');
    });

    test.each([
      ['amd64', 'musl'],
      ['arm64', 'glibc'],
    ])(
      'the bill of materials for %s names the archive, the engine, %s, and the npm packages',
      (architecture, libc) => {
        const bill = JSON.parse(
          readFileSync(join(first, archive(architecture).replace('.tgz', '.cdx.json')), 'utf8'),
        );
        expect(bill).toMatchObject({
          bomFormat: 'CycloneDX',
          specVersion: '1.6',
          metadata: { component: { name: 'cni-ts', version } },
        });
        expect(bill.metadata.component.hashes[0]).toEqual({
          alg: 'SHA-256',
          content: sha256(readFileSync(join(first, archive(architecture)))),
        });
        const names = bill.components.map((one: { name: string }) => one.name);
        expect(names.sort()).toEqual([...foreign, libc, 'libgcc', 'quickjs'].sort());
        for (const one of bill.components) {
          expect(one, one.name).toMatchObject({
            version: expect.stringMatching(/^\d/),
            purl: expect.any(String),
          });
          expect(one.licenses, one.name).toHaveLength(1);
        }
      },
    );

    test('for arm64 every plugin answers in an emulator, and what could not be tried there is told', () => {
      const from = unpacked('arm64');
      // e_machine, elf.h: EM_AARCH64
      expect(readFileSync(join(from, 'bridge')).readUInt16LE(18)).toBe(183);
      const lines = told.split('\n').filter((line) => line.startsWith('  ') && line.includes(': '));
      expect(lines.map((line) => /^ {2}([\w-]+): VERSION\b/.exec(line)?.[1])).toEqual(plugins);
      for (const plugin of ['loopback', 'static']) {
        expect(lines).toContain(`  ${plugin}: VERSION, ADD, CHECK, DEL`);
      }
      // How far an emulator goes is its own affair, as with the sockets of netfilter; that it is told is ours.
      const whole = ': VERSION, ADD, CHECK, DEL';
      for (const line of lines.filter((one) => !one.endsWith(whole))) {
        expect(line).toMatch(/: VERSION(, ADD)?(, CHECK)?(, DEL)?; not (ADD|CHECK|DEL): ./);
      }
    });

    describe('the image', () => {
      const image = `cni-ts-image-v${version}.tar`;
      let layout: string;
      beforeAll(() => {
        layout = mkdtempSync(join(folder, 'layout-'));
        execFileSync('tar', ['-xf', join(first, image), '-C', layout], { stdio: 'pipe' });
      });
      const blob = (digest: string) => readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
      const json = (digest: string) => JSON.parse(blob(digest).toString());

      /** Manifest and configuration for one processor. */
      function imageFor(architecture: string) {
        const [index] = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests;
        const wanted = ({ platform }: { platform: { architecture: string } }) =>
          platform.architecture === architecture;
        const manifest = json(json(index.digest).manifests.find(wanted).digest);
        return { manifest, config: json(manifest.config.digest) };
      }

      test('is a layout whose parts have the hashes they are named by, of a few megabytes', () => {
        const blobs = readdirSync(join(layout, 'blobs/sha256'));
        expect(blobs.map((name) => sha256(readFileSync(join(layout, 'blobs/sha256', name))))).toEqual(blobs);
        // Two programs for each of two processors, of 1.2 MB each when they are packed. It was 5 MB for one program.
        expect(statSync(join(first, image)).size).toBeLessThan(8e6);
        for (const architecture of ['amd64', 'arm64']) {
          const { manifest, config } = imageFor(architecture);
          const layer = execFileSync('gzip', ['-dc'], {
            input: blob(manifest.layers[0].digest),
            maxBuffer: 1e8,
          });
          expect(config).toMatchObject({ architecture, rootfs: { diff_ids: [`sha256:${sha256(layer)}`] } });
        }
      });

      test('has nothing but the programs under all their names, and its entry point installs it', () => {
        const { manifest, config } = imageFor('amd64');
        const root = mkdtempSync(join(folder, 'root-'));
        execFileSync('tar', ['-xz', '-C', root], { input: blob(manifest.layers[0].digest), stdio: 'pipe' });
        const bin = join(root, 'opt/cni-ts/bin');
        expect(readdirSync(bin).sort()).toEqual([...programNames]);
        expect(statSync(join(bin, 'bridge')).nlink).toBe(plugins.length);
        expect(statSync(join(bin, 'cnitool')).nlink).toBe(1);
        const [command = '', ...args] = config.config.Entrypoint;
        mkdirSync(join(root, 'proc'));
        const inside = 'mount --bind /proc "$0/proc" && exec chroot "$0" "$@"';
        const own = ['--mount', '--propagation', 'private', 'sh', '-c', inside, root];
        execFileSync('unshare', [...own, command, ...args]);
        expect(readdirSync(join(root, 'opt/cni/bin')).sort()).toEqual([...programNames]);
        expect(JSON.parse(versionOf(join(root, 'opt/cni/bin/ptp')))).toHaveProperty('supportedVersions');
      });

      test.skipIf(noPodman)(
        `is loaded and run by podman${noPodman ? `, which does not run here: ${noPodman}` : ''}`,
        async () => {
          const room = new EngineRoom();
          await room.open();
          try {
            room.sh(`${room.podman} load --input ${join(first, image)}`);
            const options = '--rm --network none --cgroups=disabled --security-opt seccomp=unconfined';
            const target = join(room.dir, 'bin');
            mkdirSync(target);
            const run = `${room.podman} run ${options} -v ${target}:/opt/cni/bin localhost/cni-ts:v${version}`;
            expect(room.sh(`${run} bridge host-local`)).toBe(
              'installed /opt/cni/bin/bridge\ninstalled /opt/cni/bin/host-local\n',
            );
            expect(readdirSync(target).sort()).toEqual(['bridge', 'host-local']);
            expect(JSON.parse(versionOf(join(target, 'bridge')))).toHaveProperty('supportedVersions');
          } finally {
            room.close();
          }
        },
      );
    });
  },
);
