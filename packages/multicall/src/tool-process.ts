/** The operator's tool, which calls the plugins of this program instead of executing them. */
import { cnitool } from '@cni-ts/cli/cnitool';
import { systemPath } from '@cni-ts/cli/system-path';
import { realPath } from '@cni-ts/libc/file';
import { exit } from '@cni-ts/libc/process';
import { write } from '@cni-ts/skeleton/main';
import { errorText } from '@cni-ts/spec/cni-error';
import { findPlugin, toolNames } from './called-as.ts';

/** Serves the call this process was started for. */
export function runTool(): void {
  const { PATH } = process.env;
  if (PATH !== undefined) process.env.PATH = systemPath(PATH);
  void cnitool(process.argv.slice(2), {
    env: process.env,
    stdout: (text) => write(1, text),
    stderr: (text) => write(2, text),
    inProcess: findPlugin,
    names: toolNames,
    folder: ownFolder,
  }).then(exit, (error: unknown) => {
    // Nobody reads what it prints, as in `cnitool --help | head -1`.
    write(2, `cnitool: ${errorText(error)}\n`);
    exit(1);
  });
}

function ownFolder(): string | undefined {
  try {
    const file = realPath(process.execPath);
    return file.slice(0, file.lastIndexOf('/')) || '/';
  } catch {
    return undefined; // without /proc the other folder is left
  }
}
