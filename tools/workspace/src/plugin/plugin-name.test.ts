import { expect, test } from 'vitest';
import { nameComplaint } from './plugin-name.ts';

const there = [
  { project: 'bridge', path: 'packages/plugins/main/bridge' },
  { project: 'netlink', path: 'packages/netlink' },
];
const said = (name: string) =>
  nameComplaint(
    name,
    there,
    `import { accept } from '@cni-ts/rules/rule-spec';\nconst own = accept.of('port');`,
  );

test.for(['my-plugin', 'vlan2', 'static-routes', 'switch', 'bridges', 'port', 'rules', 'of-my-own'])(
  '%s may be a plugin',
  (name) => {
    expect(said(name)).toBeUndefined();
  },
);

test.for([
  ['bridge', '"bridge" exists, in packages/plugins/main/bridge: choose another name'],
  ['netlink', '"netlink" exists, in packages/netlink: choose another name'],
  ['My-Plugin', 'use small letters and digits'],
  ['2nd', 'use small letters and digits'],
  ['a/b', 'use small letters and digits'],
  ['a--b', 'use small letters and digits'],
  ['', 'use small letters and digits'],
  ['a'.repeat(41), 'use 40 at most'],
  ['cnitool', 'the program has for something else'],
  ['config', 'a file that every plugin has (src/config.ts)'],
  ['accept', 'a word of the sources'],
  ['own', 'a word of the sources'],
] as const)('%s may not, and a sentence says what to do', ([name, sentence]) => {
  expect(said(name)).toContain(sentence);
});
