/** `cnitool completion` in the shells themselves. What the tool answers them: packages/cli/src/completion-command.test.ts. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ours } from './lab.ts';

let dir: string;
let env: Record<string, string>;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-completion-'));
  for (const one of ['net.d', 'cache/results', 'files']) mkdirSync(join(dir, one), { recursive: true });
  for (const name of ['web', 'storage']) {
    const list = { cniVersion: '1.0.0', name, plugins: [{ type: 'bridge' }] };
    writeFileSync(join(dir, 'net.d', `${name}.conflist`), JSON.stringify(list));
  }
  writeFileSync(join(dir, 'files', 'weird.conflist'), '{}');
  for (const containerId of ['c1', 'c2', '$(touch pwned)']) {
    const about = { containerId, ifName: 'eth0', networkName: 'web', netns: `/run/netns/${containerId}` };
    const entry = JSON.stringify({ kind: 'cniCacheV1', config: 'e30=', ...about });
    writeFileSync(join(dir, 'cache/results', `web-${containerId}-eth0`), entry);
  }
  env = {
    PATH: `${ours}:${process.env.PATH}`,
    HOME: dir,
    NETCONFPATH: join(dir, 'net.d'),
    CNI_CACHE_DIR: join(dir, 'cache'),
  };
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The last word is being written; what the shell would offer. */
const shells: Readonly<Record<string, (words: readonly string[]) => readonly string[]>> = {
  bash: (words) => [
    'bash',
    '--norc',
    '-c',
    `source <(cnitool completion bash); complete -p cnitool >/dev/null || exit 9
     COMP_WORDS=(cnitool "$@"); COMP_CWORD=$#; _cnitool; printf '%s\\n' "\${COMPREPLY[@]}"`,
    'bash',
    ...words,
  ],
  // What compinit has, with the one function replaced that writes to the screen.
  zsh: (words) => [
    'zsh',
    '-f',
    '-c',
    `autoload -Uz compinit; compinit -u -D; source <(cnitool completion zsh)
     [[ $_comps[cnitool] == _cnitool ]] || exit 9
     _describe() { local one; for one in "\${(@P)3}"; do print -r -- "\${\${one//\\\\:/\\0}%%:*}"; done }
     _files() { print -r -- *(N) }
     words=(cnitool "$@"); CURRENT=$(( $# + 1 )); _cnitool`,
    'zsh',
    ...words,
  ],
  fish: (words) => [
    'fish',
    '--no-config',
    '-c',
    `cnitool completion fish | source; complete -C "cnitool ${words.join(' ')}" | string split -f1 \\t`,
  ],
};

for (const [shell, command] of Object.entries(shells)) {
  const found = ['/bin', '/usr/bin'].some((folder) => existsSync(join(folder, shell)));
  if (!found) process.stderr.write(`skipped: ${shell} is not there (apt-get install ${shell})\n`);
  const complete = (...words: string[]) => {
    const [program = '', ...args] = command(words);
    const { status, stdout, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      env,
      cwd: join(dir, 'files'),
      timeout: 20_000,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout.trimEnd().split('\n').sort();
  };

  test.skipIf(!found)(`${shell} completes commands, options, networks, containers and files`, () => {
    expect(complete('vali')).toEqual(['validate']);
    expect(complete('gc', 'web', '--dr')).toEqual(['--dry-run']);
    expect(complete('add', '')).toEqual(['storage', 'web']);
    expect(complete('gc', 'web', '--keep', 'c2')).toEqual(['c2/eth0']);
    expect(complete('validate', 'we')).toEqual(['web', 'weird.conflist']);
    expect(existsSync(join(dir, 'files/pwned'))).toBe(false);
  });
}
