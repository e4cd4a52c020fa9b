import { execFile } from 'node:child_process';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Call, Command } from './call.ts';
import { programOf } from './plugin-process.ts';

/** What one of several processes said. */
export interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long one may take. Milliseconds: from sources they start one after the other on a small machine. */
const longest = 25_000;

/** Calls a plugin several times at once, each time as a process, as a runtime does that starts many containers. */
export function callsAtOnce(plugin: Plugin, command: Command, calls: readonly Call[]): Promise<Said[]> {
  const [file, ...args] = programOf(plugin);
  return Promise.all(
    calls.map(
      ({ config, containerId, container, netns, ifname, path, args: cniArgs }) =>
        new Promise<Said>((tell) => {
          const env = {
            PATH: process.env.PATH,
            CNI_COMMAND: command,
            CNI_CONTAINERID: containerId ?? 'c1',
            CNI_NETNS: netns ?? container?.path ?? '',
            CNI_IFNAME: ifname ?? 'eth0',
            CNI_ARGS: cniArgs ?? '',
            CNI_PATH: path ?? '/nonexistent',
          };
          const child = execFile(file, args, { env, timeout: longest }, (error, stdout, stderr) =>
            tell({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
          );
          child.stdin?.end(JSON.stringify(config));
        }),
    ),
  );
}
