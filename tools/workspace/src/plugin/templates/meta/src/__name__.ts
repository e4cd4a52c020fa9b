/**
 * __name__: a rule on the host for each address of the container, in a table of its own. As it stands here it accepts
 * what would be accepted anyway.
 *
 * (Say here what it is, and why it is made as it is, in terms of what the kernel does.)
 */
import { parseCidr } from '@cni-ts/address/cidr';
import { chainedPlugin } from '@cni-ts/resource/chained-plugin';
import { accept, hostCidr } from '@cni-ts/rules/rule-spec';
import { type Owner, ownerComment } from '@cni-ts/skeleton/owner-comment';
import type { Result } from '@cni-ts/spec/result';
import { type Config, parse, schema } from './config.ts';
import { Rules, rulesLasting } from './rules.ts';

/** One for each address that the plugins before this one gave. */
function rulesFor({ port }: Config, { ips = [] }: Result, owner: Owner): Rules {
  const comment = ownerComment(owner);
  const own = ips.flatMap(({ address }) => {
    const to = parseCidr(address)?.ip;
    if (!to) return [];
    const when = { protocol: 'tcp', port, to: hostCidr(to) } as const;
    return [{ when, action: accept, comment }];
  });
  return new Rules(own);
}

export const __plugin__ = chainedPlugin({
  type: '__name__',
  config: schema,
  parse,
  missing: '__name__ must be called as chained plugin: it changes what another plugin made',
  // What must be there. ADD makes it, CHECK compares it, a dry run tells it, REPAIR mends it.
  plan: (config, { owner }, previous) => ({ resources: [rulesFor(config, previous, owner)] }),
  lasting: () => [rulesLasting],
});
