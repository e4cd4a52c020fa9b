/** `cnitool install` and `uninstall`: which names, where, and what is told of them. */
import { pluginVersion } from '@cni-ts/skeleton/plugin';
import type { Option } from './command-line.ts';
import { usualFolder } from './install/folder-of-plugins.ts';
import { install, type Placed } from './install/install.ts';
import { uninstall } from './install/uninstall.ts';
import { pluginFolder } from './settings.ts';
import type { Verb, VerbCall } from './verb.ts';

const common: readonly Option[] = [
  {
    name: 'dir',
    value: 'folder',
    about: `which folder (default: ${pluginFolder}, of the host where that is mounted as /host${pluginFolder})`,
  },
  { name: 'json', about: 'print what was done as JSON (dist/schemas/cnitool-install.json)' },
];

export const installCommand: Verb = {
  about: 'Put every plugin and cnitool into a folder, or those that are named; what is replaced is kept',
  examples: [
    { call: 'cnitool install', about: 'every plugin and the tool into /opt/cni/bin' },
    { call: 'cnitool install --dir /usr/lib/cni bridge portmap', about: 'two of them, elsewhere' },
  ],
  needs: [],
  takes: 'names',
  holdsSignals: true,
  options: [
    ...common,
    { name: 'force', about: 'replace what is newer, or neither ours nor the reference’s, as well' },
  ],
  async run(call) {
    const programs = { names: call.names?.(), beside: call.folder?.() };
    const force = call.options('force') !== undefined;
    return telling(call, (folder, tell) => install(call.args, folder, programs, force, tell));
  },
};

export const uninstallCommand: Verb = {
  about: 'Remove what is ours from a folder, or the plugins that are named, and put back what was replaced',
  examples: [
    { call: 'cnitool uninstall', about: 'all that is ours, and what was there before comes back' },
    { call: 'cnitool uninstall bridge', about: 'one of them' },
  ],
  needs: [],
  takes: 'names',
  holdsSignals: true,
  options: common,
  async run(call) {
    return telling(call, (folder, tell) => {
      if (uninstall(call.args, folder, call.names?.(), tell)) return;
      call.note(`there is no folder ${folder}: there was nothing to take out`);
    });
  },
};

/** A line for each name as soon as it is done; what was not done ends the tool with 1. */
function telling(call: VerbCall, work: (folder: string, tell: (one: Placed) => void) => void): string {
  const folder = call.options('dir')?.at(-1) ?? usualFolder();
  const json = call.options('json') !== undefined;
  const all: Placed[] = [];
  try {
    work(folder, (one) => {
      all.push(one);
      if (one.code !== undefined) call.ends(1);
      if (json) return;
      if (one.code === undefined) call.say(one.text);
      else call.note(one.text);
    });
  } finally {
    // Also where it then fails: what was done is done.
    if (json) call.say(report(folder, all));
  }
  return '';
}

function report(folder: string, all: readonly Placed[]): string {
  const files = all.map(({ name, path, action, before, kept, code, text }) => ({
    name,
    path,
    action,
    ...(before && { before: { whose: before.whose, version: before.version, thisBuild: before.same } }),
    ...(kept && { kept: kept.path }),
    ...(code && { code }),
    text,
  }));
  return JSON.stringify({ folder, version: pluginVersion, files }, undefined, 2);
}
