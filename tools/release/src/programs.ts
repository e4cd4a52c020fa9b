/** The compiled programs for each processor, and the files that `cnitool install` makes of them. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { installAs, runOn } from '@cni-ts/bundle/executable';
import { linkedParts, type Part } from '@cni-ts/bundle/linked-parts';
import { bundlePrograms, compilePrograms, pluginNames, toolName } from '@cni-ts/bundle/programs';
import type { Cpu } from '@cni-ts/bundle/quickjs';
import { execa } from 'execa';

export interface Built {
  readonly cpu: Cpu;
  /** As Go, Kubernetes and container images name the processor. */
  readonly architecture: 'amd64' | 'arm64';
  /** A folder with every name: hard links of the plugins' program, and the tool. */
  readonly folder: string;
  readonly parts: readonly Part[];
}

const architectures = { x64: 'amd64', arm64: 'arm64' } as const;

/** Every name of a release, in order. */
export const programNames: readonly string[] = [toolName, ...pluginNames].sort();

/** Builds the programs for `cpu` in `work`, from the sources and nothing else. */
export async function build(cpu: Cpu, work: string): Promise<Built> {
  mkdirSync(work, { recursive: true });
  const scripts = await bundlePrograms();
  const { plugins, tool } = await compilePrograms(scripts, work, cpu, join(work, 'compiling'));
  const folder = join(work, 'bin');
  installAs(
    [
      { file: plugins, names: pluginNames },
      { file: tool, names: [toolName] },
    ],
    folder,
  );
  // The tool has all that the plugins have, and more.
  return { cpu, architecture: architectures[cpu], folder, parts: await linkedParts(scripts.tool, cpu) };
}

/** Each name as a file of its own, as a host has them: the tool puts them there, in an emulator where it must. */
export async function installInto(into: string, { cpu, folder }: Built): Promise<void> {
  await execa(...runOn(cpu, join(folder, toolName), ['install', '--dir', into]));
}
