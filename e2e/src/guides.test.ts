/** docs/guides, followed to the letter on a node of their own; and every network configuration that a page shows. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { workspaceRoot } from '@cni-ts/bundle/workspace';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { afterAll, describe, expect, test } from 'vitest';
import { commandsOfTool, missingLines, stepsOf, typesOf } from './guide.ts';
import { capabilities, needsAnotherKernel } from './guide-chain.ts';
import { GuideNode } from './guide-node.ts';
import { ours, theirs } from './lab.ts';

const guides = globSync('docs/guides/*.md', { cwd: workspaceRoot })
  .filter((file) => !file.endsWith('README.md'))
  .sort()
  .concat('docs/cluster.md', 'docs/cnitool.md', 'README.md');
const pageOf = (file: string) => readFileSync(join(workspaceRoot, file), 'utf8');

/** Blocks that cannot be tried here, by guide: a new one is thought about. */
const elsewhere: Readonly<Record<string, number>> = {
  'docs/cluster.md': 3,
  'docs/guides/chains.md': 1,
  'docs/guides/kubernetes.md': 4,
  'docs/guides/moving-a-node.md': 0,
  'docs/guides/podman.md': 3,
  'docs/guides/troubleshooting.md': 0,
};

/** The guide that begins with the Go plugins, where Debian's are not installed, and the one that takes etcd. */
const skipped = (file: string) =>
  (file.endsWith('moving-a-node.md') && !existsSync(theirs)) ||
  (file.endsWith('cluster.md') && etcdProgram() === undefined);

/** What this build of cnitool can do: `  name [arguments]  what it does`. */
const helpOf = (...about: string[]) =>
  spawnSync(join(ours, 'cnitool'), ['help', ...about], { encoding: 'utf8', env: {} }).stdout ?? '';
const commands =
  helpOf()
    .split(/^Commands:$/m)[1]
    ?.split(/^\S/m)[0] ?? '';
const known = new Map(
  [...commands.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name = '']) => [name, helpOf(name)] as const),
);

/** What of a block this build does not have. */
function lackingFor(text: string): string[] {
  return commandsOfTool(text).flatMap(({ name, options }) => {
    const help = known.get(name);
    if (help === undefined) return [name];
    return options.filter((option) => !help.includes(option)).map((option) => `${name} ${option}`);
  });
}

describe.each(guides.filter((file) => !skipped(file)))('%s', (file) => {
  // What the front page says of building and testing is `npm test` itself.
  const [followed = ''] = pageOf(file).split('\n## See it, test it');
  const steps = stepsOf(followed);
  const node = new GuideNode();
  let opened: Promise<void> | undefined;
  afterAll(() => node.close());
  /** After a step that failed the others say nothing. */
  let broken = false;

  test.for(steps.map((step, i) => [titleOf(step, i), step] as const))('%s', async ([, step], { skip }) => {
    if (broken) skip('a step before it failed');
    opened ??= node.open();
    await opened;
    broken = true;
    if (step.kind === 'file') tryFile(step.path, step.text);
    else if (step.kind === 'elsewhere') {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: step.text, encoding: 'utf8' });
      expect([status, stderr]).toEqual([0, '']);
    } else {
      const lacking = lackingFor(step.text);
      if (lacking.length > 0) {
        broken = false;
        skip(`cnitool has no ${lacking.join(', ')}`);
      }
      const { status, output } = node.run(step.text);
      expect(status, `${step.text}\n${output}`).toBe(step.status);
      expect(missingLines(step.prints, output), output).toEqual([]);
    }
    broken = false;
  });

  test('blocks for elsewhere are as many as are known', () => {
    expect(steps.filter(({ kind }) => kind === 'elsewhere')).toHaveLength(elsewhere[file] ?? 0);
  });

  /** A file is put where the page says. A list without a folder is a chain: it is validated, and an attachment made, checked
   *  and removed, after which nothing is left. */
  function tryFile(path: string | undefined, text: string): void {
    JSON.parse(text);
    if (path === undefined) return;
    if (path.startsWith('/')) {
      node.write(path, text);
      return;
    }
    node.write(`/etc/cni/net.d/${path}`, text);
    const checked = node.run(`cnitool validate /etc/cni/net.d/${path}`);
    expect(checked, checked.output).toMatchObject({ status: 0 });
    const list = typesOf(text);
    if (!list || needsAnotherKernel(list.types)) return;
    const left = `ip -o link show type veth | cut -d' ' -f2 | sort; ls /etc/cni/net.d`;
    const before = node.run(left);
    for (const command of ['netns', 'add', 'check', 'del']) {
      const line =
        command === 'netns'
          ? 'ip netns add box'
          : `cnitool ${command} ${list.name} /run/netns/box >/dev/null`;
      const { status, output } = node.run(line, { CAP_ARGS: capabilities });
      expect(status, `${line}: ${output}`).toBe(0);
    }
    expect(node.run(`ip netns del box; ${left}`)).toEqual(before);
    expect(
      node.run(
        `ls /var/lib/cni/results; ls /var/lib/cni/networks/${list.name} 2>/dev/null | grep '^[0-9]' || true`,
      ).output,
    ).toBe('');
  }
});

function titleOf(step: ReturnType<typeof stepsOf>[number], i: number): string {
  const [first = ''] = step.text.trim().split('\n');
  const what = step.kind === 'file' ? `the file ${step.path ?? 'that is shown'}` : first.slice(0, 70);
  return `${i + 1}: ${step.kind === 'commands' && step.hidden ? 'the scene' : what}`;
}

const pages = [
  'README.md',
  ...globSync('{docs,packages,tools}/**/*.md', {
    cwd: workspaceRoot,
    exclude: ['**/node_modules/**', '**/templates/**'],
  }),
];
const shown = pages.flatMap((file) =>
  [...pageOf(file).matchAll(/^```json[^\n]*\n([\s\S]*?)^```$/gm)].flatMap(([, text = '']) => {
    const list = text.includes('"plugins"') ? typesOf(text) : undefined;
    return list ? [{ file, name: list.name, text }] : [];
  }),
);

test.each([...known.keys()])('docs/cnitool.md tells of cnitool %s, with an example', (name) => {
  const [, section = ''] = pageOf('docs/cnitool.md').split(`\n## ${name}\n`);
  const [own = ''] = section.split('\n## ');
  expect(own).toMatch(new RegExp(`^\`\`\`sh[^\`]*cnitool ${name}\\b`, 'm'));
});

test('pages show networks', () => {
  expect(shown.length).toBeGreaterThan(25);
});

test.each(shown)('$file: the network $name is fine to cnitool validate', ({ text }) => {
  const folder = mkdtempSync(join(tmpdir(), 'cni-guide-'));
  try {
    const file = join(folder, '10.conflist');
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync(join(ours, 'cnitool'), ['validate', file], {
      encoding: 'utf8',
      env: {},
    });
    expect([status, stdout, stderr]).toMatchObject([0, expect.stringContaining('0 errors, 0 warnings'), '']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...globSync('docs/**/[!C]*.md', { cwd: workspaceRoot }),
])('%s names no file that is not there', (file) => {
  const links = [...pageOf(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
  const folder = join(workspaceRoot, file, '..');
  expect(links.filter((link) => globSync(link, { cwd: folder }).length === 0)).toEqual([]);
  const places = [...pageOf(file).matchAll(/\]\(([^)#:]*)#([^)]*)\)/g)];
  const lost = places.filter(([, link = '', place = '']) => {
    const target = link === '' ? pageOf(file) : readFileSync(join(folder, link), 'utf8');
    return !headings(target).includes(place);
  });
  expect(lost.map(([whole]) => whole)).toEqual([]);
});

/** The places within a page that can be linked to. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('how a guide is read', () => {
  test('a block with a mark that nobody tries is refused', () => {
    expect(() => stepsOf('```bash\ntrue\n```\n')).toThrow('a block that is marked "bash"');
  });

  test('what is printed is held against the block before, with … for what differs', () => {
    const [step] = stepsOf('```sh finds\ncnitool validate\n```\n\n```text\na … c\n```\n');
    expect(step).toMatchObject({ kind: 'commands', status: 1, prints: ['a … c'] });
    expect(missingLines(['a … c', 'd'], 'x\na b c\nd\n')).toEqual([]);
    expect(missingLines(['d', 'a … c'], 'x\na b c\nd\n')).toEqual(['a … c']);
  });

  test('commands of cnitool are known by their names', () => {
    expect(
      commandsOfTool(
        'cnitool add a b -i c\n./cnitool install \\\n  --dir x\ny | cnitool gc --stale # --all\n',
      ),
    ).toEqual([
      { name: 'add', options: [] },
      { name: 'install', options: ['--dir'] },
      { name: 'gc', options: ['--stale'] },
    ]);
  });
});
