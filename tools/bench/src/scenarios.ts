/** All scenarios, in the order they run and are shown. A new one is a value in a file of scenarios/, named here. */
import type { Scenario } from './scenario.ts';
import { bridgeHostLocal, bridgeMasquerade } from './scenarios/bridge.ts';
import { chain, chainAmongRules, chainByCnitool, chainsInParallel } from './scenarios/chain.ts';
import { hostLocal } from './scenarios/host-local.ts';
import { kernelKinds } from './scenarios/kernel-kinds.ts';
import { single } from './scenarios/single.ts';
import { size } from './scenarios/size.ts';
import { version } from './scenarios/version.ts';

export const scenarios: readonly Scenario[] = [
  version,
  bridgeHostLocal,
  ...bridgeMasquerade,
  chain,
  chainByCnitool,
  chainAmongRules,
  ...chainsInParallel,
  ...hostLocal,
  ...single,
  ...kernelKinds,
  size,
];

/** The scenarios that are asked for by name, or by the beginning of several names; all without a question. An unknown
 *  name is an error that tells the known ones. */
export function chosen(asked: readonly string[]): Scenario[] {
  const names = scenarios.map(({ name }) => name);
  const wanted = asked.flatMap((one) => {
    const found = names.includes(one) ? [one] : names.filter((name) => name.startsWith(one));
    if (found.length === 0) throw new Error(`no scenario is called ${one}: there are ${names.join(', ')}`);
    return found;
  });
  return scenarios.filter(({ name }) => asked.length === 0 || wanted.includes(name));
}
