/** The two programs of a build: the plugins', which a runtime calls by the thousand, and cnitool, which has them too. */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '@cni-ts/setup/command-line';
import { compileTogether } from './executable.ts';
import { bundleMulticall, bundleTool, type Program } from './javascript.ts';
import type { Cpu } from './quickjs.ts';
import { hasSource, pluginFolders } from './workspace.ts';

/** The name of the operator's tool. */
export const toolName = 'cnitool';

/** Every name the plugins' program goes by, in order. */
export const pluginNames: readonly string[] = pluginFolders()
  .filter(hasSource)
  .map(({ name }) => name)
  .sort();

/** Other names that some of them have; they are no part of a release, whose files may replace another's. */
export const otherNames: readonly string[] = pluginFolders()
  .filter(hasSource)
  .flatMap(({ alsoCalled }) => alsoCalled);

export interface Scripts {
  readonly plugins: Program;
  readonly tool: Program;
}

export async function bundlePrograms(): Promise<Scripts> {
  return { plugins: await bundleMulticall(), tool: await bundleTool() };
}

/** Files of one build. */
export interface Programs {
  readonly plugins: string;
  readonly tool: string;
}

/** Compiles both into `folder`. Throws a Failure where the plugins' has grown too large. `work`: for what is only needed
 *  meanwhile. */
export async function compilePrograms(
  { plugins, tool }: Scripts,
  folder: string,
  cpu: Cpu,
  work: string,
): Promise<Programs> {
  mkdirSync(folder, { recursive: true });
  const files = { plugins: join(folder, `plugins-${cpu}`), tool: join(folder, `tool-${cpu}`) };
  await compileTogether(
    [
      { script: plugins.script, file: files.plugins },
      { script: tool.script, file: files.tool },
    ],
    cpu,
    work,
    { largePagesFor: toolName },
  );
  refuseLarge(statSync(files.plugins).size, cpu);
  return files;
}

/** What the plugins' program may have, in bytes: its pages are read and copied by every call. The other libc that a
 *  program for another processor has in it (quickjs.ts) is 0.75 MB larger. */
function mostBytes(cpu: Cpu): number {
  return cpu === process.arch ? 4_500_000 : 5_250_000;
}

/** Throws a Failure for a plugins' program of more `bytes` than it may have. */
export function refuseLarge(bytes: number, cpu: Cpu): void {
  if (bytes <= mostBytes(cpu)) return;
  const [is, may] = [bytes, mostBytes(cpu)].map((count) => count.toLocaleString('en-US'));
  throw new Failure(
    `the plugins' program for ${cpu} has ${is} bytes and may have ${may}: what only cnitool needs belongs into packages/cli, and no plugin imports that; what all need must become smaller (packages/engine/README.md tells what costs how much)`,
  );
}
