import type { Backend } from '@cni-ts/iptables/backend';
import { findProgram } from '@cni-ts/iptables/program';
import { networkConfig } from '@cni-ts/skeleton/config';
import type { Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText, findCniError } from '@cni-ts/spec/cni-error';
import { expectedWords } from '@cni-ts/spec/nearest-word';
import type { Result } from '@cni-ts/spec/result';
import * as z from 'zod/mini';
import { checkNumbers, portMappings } from './mapping.ts';

const words = () => z.optional(z.array(z.string()));

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export const schema = () =>
  z.object({
    ...networkConfig,
    backend: z.optional(z.string()),
    snat: z.optional(z.boolean()),
    masqAll: z.optional(z.boolean()),
    markMasqBit: z.optional(z.int()),
    externalSetMarkChain: z.optional(z.string()),
    conditionsV4: words(),
    conditionsV6: words(),
    runtimeConfig: z.optional(z.object({ portMappings: z.optional(portMappings()) })),
  });
type Raw = z.output<ReturnType<typeof schema>>;

/** What the plugin works by: nothing optional that has a default. */
export type Config = ReturnType<typeof parse>;

const usualMarkBit = 13;

/** Checks in the reference's order and words. DEL asks for nothing of the configuration, so it cannot fail on them. */
export function parse(raw: Raw) {
  const { backend, markMasqBit, externalSetMarkChain } = raw;
  if (markMasqBit !== undefined && externalSetMarkChain !== undefined) {
    throw new Error('Cannot specify externalSetMarkChain and markMasqBit');
  }
  const bit = markMasqBit ?? usualMarkBit;
  if (bit < 0 || bit > 31) throw new Error('MasqMarkBit must be between 0 and 31');
  const config = {
    /** undefined: the one that works. */
    backend: backend as Backend | undefined, // reason: checkOptions refuses any other word
    snat: raw.snat ?? true,
    masqAll: raw.masqAll ?? false,
    /** The bit that iptables marks packets with, as a mask. */
    mark: (1 << bit) >>> 0,
    /** '': our own chain sets the mark. */
    externalSetMarkChain: externalSetMarkChain ?? '',
    conditions: { 4: raw.conditionsV4 ?? [], 6: raw.conditionsV6 ?? [] },
    /** Undefined when the runtime said nothing about port mappings, which is not the same as none. */
    portMappings: raw.runtimeConfig?.portMappings,
  } as const;
  // Which one will be chosen is known at once where iptables is installed; otherwise the kernel is asked, by ADD.
  const expected = backend ?? (findProgram('iptables') === undefined ? undefined : 'iptables');
  if (expected !== undefined) checkOptions(expected, config, backend !== undefined);
  checkNumbers(config.portMappings ?? []);
  return config;
}

/**
 * Options that only the other backend understands are refused. `expected` is the backend's name, `requested` whether
 * the configuration names it.
 */
export function checkOptions(
  expected: string,
  config: { externalSetMarkChain: string; conditions: Readonly<Record<4 | 6, readonly string[]>> },
  requested: boolean,
): void {
  const other = expected === 'iptables' ? 'nftables' : 'iptables';
  const owners = {
    externalSetMarkChain: config.externalSetMarkChain ? 'iptables' : undefined,
    conditionsV4: languageOf(config.conditions[4]),
    conditionsV6: languageOf(config.conditions[6]),
  };
  const wrong = Object.entries(owners).flatMap(([name, owner]) => (owner === other ? [name] : []));
  const contains = `configuration contains ${other}-specific options [${wrong.join(' ')}]`;
  if (wrong.length && requested) throw new Error(`${expected} backend was requested but ${contains}`);
  if (wrong.length) {
    const why = expected === 'iptables' ? 'it is installed' : 'iptables cannot be used here';
    throw new CniError(
      ErrorCode.internal,
      `${contains}, but ${expected} was chosen since ${why}`,
      `set "backend": "${other}", or write ${wrong.join(' and ')} for ${expected}`,
    );
  }
  if (expected !== 'iptables' && expected !== 'nftables') {
    const details = `backend ${expectedWords(expected, ['iptables', 'nftables'])}`;
    throw new CniError(ErrorCode.internal, `unrecognized backend "${expected}"`, details);
  }
}

/** iptables' options start with a dash or an exclamation mark; nothing in nft's language does. */
function languageOf([first = '']: readonly string[]): Backend | undefined {
  if (first === '') return undefined;
  return first.startsWith('-') || first.startsWith('!') ? 'iptables' : 'nftables';
}

/** Configuration and prevResult; failures of either begin with `prefix`. */
export function readRequest(request: Request<Config>, prefix: string): [Config, Result | undefined] {
  try {
    const { prevResult } = request;
    return [request.config, prevResult];
  } catch (error) {
    const known = findCniError(error);
    const message = prefix + (known?.message ?? errorText(error));
    throw new CniError(known?.code ?? ErrorCode.internal, message, known?.details, { cause: error });
  }
}
