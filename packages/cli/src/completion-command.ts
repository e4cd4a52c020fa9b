/** `cnitool completion`, and the command that its scripts call. */
import { type Candidate, candidates, type Known, shells } from './completion/candidates.ts';
import { scripts } from './completion/scripts.ts';
import { configPaths, networkListAt } from './config-lists.ts';
import { listed } from './listed.ts';
import { namedNamespaces } from './netns-argument.ts';
import { configDir } from './settings.ts';
import { UsageError, type Verb, type VerbCall } from './verb.ts';

export const completion: Verb = {
  about: 'Print what a shell needs to complete commands, options, networks and containers: bash, zsh or fish',
  examples: [
    { call: 'source <(cnitool completion bash)', about: 'in this shell; in ~/.bashrc in each' },
    { call: 'source <(cnitool completion zsh)', about: 'for zsh' },
    {
      call: 'cnitool completion fish > ~/.config/fish/completions/cnitool.fish',
      about: 'for fish, in each shell to come',
    },
  ],
  needs: ['shell'],
  words: shells,
  async run({ args }) {
    const found = shells.find((one) => one === args[0]);
    if (found === undefined)
      throw new UsageError(`there is no completion for ${args[0]}: ask for ${shells.join(', ')}`);
    return scripts[found];
  },
};

/** `verbs`: the table this is a part of. */
export function completing(verbs: () => Readonly<Record<string, Verb>>): Verb {
  return {
    about: 'What could stand where the cursor is',
    hidden: true,
    needs: [],
    takes: 'words',
    async run(call) {
      const { words, files } = candidates(call.args, knownTo(call, verbs()));
      const lines = words.map(({ word, about }) => `${word}\t${about.replace(/\s+/g, ' ')}\n`);
      return `${lines.join('')}${files ? ':files\n' : ''}`;
    },
  };
}

function knownTo({ env, runtime, names }: VerbCall, verbs: Known['verbs']): Known {
  const attached = () => runtime.getCachedAttachments();
  return {
    verbs,
    networks: () => networksIn(configDir(env)),
    containers: () => attached().map(({ containerId, network }) => ({ word: containerId, about: network })),
    attachments: () =>
      attached().map(({ containerId, ifname, network }) => ({
        word: `${containerId}/${ifname}`,
        about: network,
      })),
    namespaces: () => [
      ...attached().map(({ netns = '', network }) => ({ word: netns, about: network })),
      ...listed(namedNamespaces).map((name) => ({ word: `${namedNamespaces}/${name}`, about: 'namespace' })),
    ],
    plugins: () => {
      const all = [...(names?.() ?? []), ...runtime.path.flatMap(listed)];
      return [...new Set(all)].sort().map((word) => ({ word, about: 'plugin' }));
    },
  };
}

/** One that cannot be loaded is for `validate` to tell: nobody wants to hear of it in the middle of a word. */
function networksIn(folder: string): Candidate[] {
  let paths: string[];
  try {
    paths = configPaths(folder);
  } catch {
    return []; // no folder, no networks
  }
  return paths.flatMap((path) => {
    try {
      const { name, plugins } = networkListAt(path);
      return [{ word: name, about: plugins.map(({ type }) => type).join(' + ') }];
    } catch {
      return [];
    }
  });
}
