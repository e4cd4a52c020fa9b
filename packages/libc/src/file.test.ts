import { execFileSync, spawn } from 'node:child_process';
import fs, { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  closeFile,
  copyFile,
  openFile,
  openFlags,
  readAt,
  readLink,
  readText,
  readToEnd,
  realPath,
  removeFile,
  renameFile,
  setMode,
  setTimes,
  writeAt,
  writeText,
} from './file.ts';
import {
  fileSystemOf,
  mayAccess,
  roomAt,
  statDescriptor,
  statFile,
  statLink,
  tryStat,
} from './file-status.ts';
import { folderEntries, listFolder, makeFolder } from './folder.ts';
import { errnoOf } from './syscall-error.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'file-'));
  return () => fs.rmSync(folder, { recursive: true });
});

function refusal(work: () => unknown): { code: string | undefined; message: string } | undefined {
  try {
    work();
  } catch (error) {
    return { code: errnoOf(error), message: error instanceof Error ? error.message : '' };
  }
  return undefined;
}

describe('texts', () => {
  test('what is written is what others read, and the other way round', () => {
    const path = join(folder, 'ä text');
    writeText(path, 'größer\n', 0o640);
    expect(fs.readFileSync(path, 'utf8')).toBe('größer\n');
    expect(fs.statSync(path).mode & 0o777).toBe(0o640);
    fs.writeFileSync(path, `\uFEFF${'x'.repeat(100_000)}`);
    expect(readText(path)).toBe(`\uFEFF${'x'.repeat(100_000)}`);
  });

  test('writing again shortens the file and keeps its mode', () => {
    const path = join(folder, 'f');
    writeText(path, 'long', 0o600);
    writeText(path, 'l', 0o666);
    expect([fs.readFileSync(path, 'utf8'), fs.statSync(path).mode & 0o777]).toEqual(['l', 0o600]);
  });

  test('bytes that are no UTF-8 become U+FFFD', () => {
    fs.writeFileSync(join(folder, 'f'), Buffer.from([0x61, 0xff, 0x62]));
    expect(readText(join(folder, 'f'))).toBe('a\uFFFDb');
  });

  test('files of /proc, which say that they are empty, are read', () => {
    expect(readText('/proc/sys/kernel/ostype')).toBe('Linux\n');
  });

  test('a missing file, a folder, a file that must be new: the call, the path and why', () => {
    const path = join(folder, 'f');
    expect(refusal(() => readText(path))).toEqual({
      code: 'ENOENT',
      message: `open ${path}: no such file or directory`,
    });
    expect(refusal(() => readText(folder))).toEqual({
      code: 'EISDIR',
      message: `read ${folder}: is a directory`,
    });
    fs.writeFileSync(path, '');
    const asNew = openFlags.writeOnly | openFlags.create | openFlags.exclusive;
    expect(refusal(() => openFile(path, asNew, 0o600))?.code).toBe('EEXIST');
    expect(refusal(() => writeText('/dev/full', 'x'))?.message).toBe(
      'write /dev/full: no space left on device',
    );
  });
});

test('a symbolic link is not followed where it must not be', () => {
  fs.symlinkSync('/etc/hostname', join(folder, 'link'));
  expect(refusal(() => openFile(join(folder, 'link'), openFlags.readOnly | openFlags.noFollow))?.code).toBe(
    'ELOOP',
  );
  expect(statLink(join(folder, 'link'))?.isFile).toBe(false);
  expect(realPath(join(folder, 'link'))).toBe(fs.realpathSync('/etc/hostname'));
});

test('status is what node:fs tells, by path, link and descriptor', () => {
  const path = join(folder, 'f');
  fs.writeFileSync(path, 'four', { mode: 0o604 });
  const seen = fs.statSync(path, { bigint: true });
  const fd = openFile(path, openFlags.readOnly);
  for (const status of [statFile(path), tryStat(path), statLink(path), statDescriptor(fd)]) {
    expect(status).toMatchObject({ ino: Number(seen.ino), size: 4, isFile: true, isFolder: false });
    expect(status?.mtimeNs).toBe(seen.mtimeNs);
    expect(status?.ctimeNs).toBe(seen.ctimeNs);
    expect(status?.uid).toBe(Number(seen.uid));
  }
  closeFile(fd);
  expect(statFile(folder)).toMatchObject({ isFolder: true, isFile: false, dev: statFile(path).dev });
  expect(statFile('/proc').dev).not.toBe(statFile(path).dev);
  expect([tryStat(join(folder, 'g')), statLink(join(path, 'g'))]).toEqual([undefined, undefined]);
});

test('times are set to the nanosecond', () => {
  setTimes(folder, 1_000_000_001n, 1_700_000_000_123_456_789n);
  expect(fs.statSync(folder, { bigint: true }).mtimeNs).toBe(1_700_000_000_123_456_789n);
  expect(statFile(folder).atimeNs).toBe(1_000_000_001n);
});

test('a place in a file is read and written without moving', () => {
  const fd = openFile(join(folder, 'f'), openFlags.readWrite | openFlags.create, 0o600);
  writeAt(fd, Uint8Array.of(1, 2, 3), 70_000);
  const into = new Uint8Array(8);
  expect(readAt(fd, into, 70_001)).toBe(2);
  expect([...into.subarray(0, 2)]).toEqual([2, 3]);
  closeFile(fd);
});

test('folders are made with those above; one that is there is fine, a file in the way is not', () => {
  const path = join(folder, 'a/b/c');
  makeFolder(path, 0o750);
  makeFolder(path, 0o750);
  expect(fs.statSync(path).mode & 0o777).toBe(0o750);
  fs.writeFileSync(join(folder, 'f'), '');
  expect(refusal(() => makeFolder(join(folder, 'f'), 0o755))?.message).toBe(`mkdir ${folder}/f: file exists`);
  expect(refusal(() => makeFolder(join(folder, 'f/g'), 0o755))?.code).toBe('ENOTDIR');
});

test('a folder where the kernel lets none be made is refused in its words', () => {
  expect(refusal(() => makeFolder('/proc/none/such', 0o755))?.message).toBe(
    'mkdir /proc/none: no such file or directory',
  );
});

test('removing tells whether there was something; renaming replaces; listing lists', () => {
  fs.writeFileSync(join(folder, 'a'), 'a');
  fs.writeFileSync(join(folder, 'b'), 'b');
  renameFile(join(folder, 'a'), join(folder, 'b'));
  expect(listFolder(folder)).toEqual(['b']);
  expect(fs.readFileSync(join(folder, 'b'), 'utf8')).toBe('a');
  expect([removeFile(join(folder, 'b')), removeFile(join(folder, 'b'))]).toEqual([true, false]);
  expect(refusal(() => removeFile(folder))?.message).toBe(`remove ${folder}: is a directory`);
  expect(refusal(() => listFolder(join(folder, 'x')))?.code).toBe('ENOENT');
});

test('access and kind of file system', () => {
  expect(mayAccess('/bin/sh', { execute: true })).toBe(true);
  expect(mayAccess(join(folder, 'x'), {})).toBe(false);
  expect(fileSystemOf('/proc').toString(16)).toBe('9fa0');
});

test('how much room there is, as node:fs tells it', () => {
  const room = roomAt('/proc/self/..');
  expect(room).toEqual({ bytes: 0, freeBytes: 0, files: 0, freeFiles: 0 });
  const { blocks, bsize, files } = statfsSync('/tmp');
  expect(roomAt('/tmp')).toMatchObject({ bytes: blocks * bsize, files });
  expect(() => roomAt('/no/such')).toThrow('statfs /no/such: no such file or directory');
});

test('a pipe that does not block is waited for', async () => {
  // The reader sets O_NONBLOCK before anything is in the pipe.
  const script = `
    import fs from 'node:fs';
    import { readToEnd, textOf } from ${JSON.stringify(join(import.meta.dirname, 'file.ts'))};
    process.stdin.on('readable', () => {}); // libuv makes the descriptor non-blocking
    await new Promise((resolve) => setTimeout(resolve, 50));
    fs.writeSync(1, 'waiting ');
    console.log(textOf(readToEnd(0, 'standard input')));`;
  const path = join(folder, 'reader.ts');
  fs.writeFileSync(path, script);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path]);
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    // Not before it asks: the event loop would take it out of the pipe.
    if (stdout === 'waiting ') setTimeout(() => child.stdin.end('second'), 100);
  });
  child.stdin.write('first ');
  await new Promise((resolve) => child.on('close', resolve));
  expect(stdout).toContain('second');
});

test('descriptors are not left to programs that are started', () => {
  const fd = openFile('/proc/self/status', openFlags.readOnly);
  const listed = execFileSync('/bin/ls', ['/proc/self/fd'], { encoding: 'utf8' }).split('\n');
  closeFile(fd);
  expect(listed).not.toContain(String(fd));
});

test('reading to the end grows with what is there', () => {
  fs.writeFileSync(join(folder, 'f'), 'y'.repeat(9999));
  const fd = openFile(join(folder, 'f'), openFlags.readOnly);
  expect(readToEnd(fd, 'f', 16).length).toBe(9999);
  closeFile(fd);
});

test('what is in a folder, with its kind, however much it is', () => {
  const many = join(folder, 'many');
  fs.mkdirSync(join(many, 'folder'), { recursive: true });
  fs.symlinkSync('nowhere', join(many, 'link'));
  const names = Array.from({ length: 3000 }, (_, i) => `ä${i}`);
  for (const name of names) fs.writeFileSync(join(many, name), '');
  expect(listFolder(many).sort()).toEqual(['folder', 'link', ...names].sort());
  const kinds = new Map(folderEntries(many).map(({ name, kind }) => [name, kind]));
  expect([kinds.get('folder'), kinds.get('link'), kinds.get('ä7'), kinds.size]).toEqual([
    'folder',
    'link',
    'file',
    3002,
  ]);
  expect(() => listFolder(join(many, 'none'))).toThrow(
    `open ${join(many, 'none')}: no such file or directory`,
  );
});

test.each([
  ['on one file system', () => folder],
  ['to another file system', () => '/dev/shm'],
])('a file is copied whole %s', (_name, to) => {
  const [from, copy] = [join(folder, 'from'), join(to(), `copy-${process.pid}`)];
  const bytes = Buffer.alloc(700_001, 'abcdefg');
  fs.writeFileSync(from, bytes);
  const source = openFile(from, openFlags.readOnly);
  const fd = openFile(copy, openFlags.readWrite | openFlags.create | openFlags.exclusive, 0o600);
  try {
    copyFile(source, fd, { from, to: copy });
    setMode(fd, 0o755, copy);
    expect(fs.readFileSync(copy).equals(bytes)).toBe(true);
    expect(fs.statSync(copy).mode & 0o777).toBe(0o755);
  } finally {
    closeFile(source);
    closeFile(fd);
    removeFile(copy);
  }
});

test('where a link leads is read as it is written; what is none leads nowhere', () => {
  fs.symlinkSync('../x y', join(folder, 'link'));
  fs.writeFileSync(join(folder, 'file'), '');
  expect(readLink(join(folder, 'link'))).toBe('../x y');
  expect(readLink(join(folder, 'file'))).toBeUndefined();
  expect(readLink(join(folder, 'nothing'))).toBeUndefined();
});
