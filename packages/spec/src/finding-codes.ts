import { addressCodes } from './address-codes.ts';
import type { CodeText } from './code-text.ts';
import { configurationCodes } from './configuration-codes.ts';
import { kernelCodes } from './kernel-codes.ts';
import { runtimeCodes } from './runtime-codes.ts';

/**
 * What the operator's tool and the plugins' VALIDATE can find, by code: CNI1xxx configuration, CNI2xxx addresses, CNI3xxx
 * the kernel of this node, CNI4xxx runtime and plugins. A code keeps its meaning for ever; one that is given up is not
 * given to another. docs/codes/ has a page for each, which `npm run build` writes from these tables.
 */
export const findingCodes = {
  ...configurationCodes,
  ...addressCodes,
  ...kernelCodes,
  ...runtimeCodes,
} as const satisfies Readonly<Record<string, CodeText>>;

export type FindingCode = keyof typeof findingCodes;

/** How bad it is: an error keeps containers from working, a warning may; a note is only told. */
export type FindingLevel = 'error' | 'warning' | 'note';
