/** The compiled program for each processor, and the files that `cnitool install` makes of it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { compile, runOn } from '@cni-ts/bundle/executable';
import { bundleMulticall } from '@cni-ts/bundle/javascript';
import { linkedParts, type Part } from '@cni-ts/bundle/linked-parts';
import type { Cpu } from '@cni-ts/bundle/quickjs';
import { hasSource, pluginFolders } from '@cni-ts/bundle/workspace';
import { execa } from 'execa';

export interface Built {
  readonly cpu: Cpu;
  /** As Go, Kubernetes and container images name the processor. */
  readonly architecture: 'amd64' | 'arm64';
  readonly file: string;
  readonly parts: readonly Part[];
}

const architectures = { x64: 'amd64', arm64: 'arm64' } as const;

/** Every name that the program answers to, in order. */
export const programNames: readonly string[] = [
  'cnitool',
  ...pluginFolders()
    .filter(hasSource)
    .map(({ name }) => name),
].sort();

/** Builds the program for `cpu` in `work`, from the sources and nothing else. */
export async function build(cpu: Cpu, work: string): Promise<Built> {
  mkdirSync(work, { recursive: true });
  const program = await bundleMulticall();
  const file = join(work, 'cnitool');
  await compile(program, file, cpu, join(work, 'compiling'), { largePagesFor: 'cnitool' });
  return { cpu, architecture: architectures[cpu], file, parts: await linkedParts(program, cpu) };
}

/** Each name as a file of its own, as a host has them: the program puts itself there, in an emulator where it must. */
export async function installInto(folder: string, { cpu, file }: Built): Promise<void> {
  await execa(...runOn(cpu, file, ['install', '--dir', folder]));
}
