/**
 * sbr, source based routing: what a container sends from an address of this link leaves by this link, whatever the
 * container's default route is. Each address gets a routing table with the link's routes, and a rule that leads to it.
 * Table main is left to the container's other links.
 *
 * With `table` the plugin adds the rules alone; the routes are somebody else's.
 */
import { type ChainedPlan, chainedPlugin } from '@cni-ts/resource/chained-plugin';
import { assignedTo } from '@cni-ts/resource/link-addressing';
import type { Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { findLinkByIndex, type Link } from '@cni-ts/rtnetlink/link';
import type { Result } from '@cni-ts/spec/result';
import { type Config, gatewaysByFamily, parse, schema } from './config.ts';
import { MainTable } from './main-table.ts';
import { SourceRule, SourceRulesLasting } from './source-rule.ts';
import { SourceTable } from './source-table.ts';

/** The container's link; undefined in a dry run, where it may not be there yet. */
function linkOf(site: Site): Link | undefined {
  return site.once(linkOf, () => lookForLink(site));
}

function lookForLink(site: Site): Link | undefined {
  const link = site.find('container', site.ifname);
  const vrf = link?.master ? findLinkByIndex(site.container.route, link.master) : undefined;
  if (vrf?.kind !== 'vrf') return link;
  throw new Error(
    `${site.ifname} is in the VRF "${vrf.name}", whose table its routes are in: sbr has nothing to move; ` +
      'remove one of both plugins from the chain',
  );
}

/** That there is something to do: ADD fails where there is not. CHECK has nothing to find then. */
const someAddress: Resource = {
  implied: true,
  describe: ({ ifname }) => `an address of ${ifname}`,
  ensure({ ifname }) {
    throw new Error(`No IP addresses supplied on interface: ${ifname}`);
  },
  differences: () => [],
};

function plan(config: Config, site: Site, previous: Result): ChainedPlan {
  const { ifname, request } = site;
  if (!previous.ips?.length) return { resources: [someAddress] };
  const addresses = assignedTo(ifname, previous);
  if (addresses.length === 0) {
    request.log(`sbr: no address of the result is ${ifname}'s: no rule is added, no route is moved`);
    return { resources: [] };
  }
  const { table, priority } = config;
  if (table !== undefined) {
    if (table === 0)
      request.log('sbr: table is 0: the kernel chooses a table, in which nobody has put a route');
    return { resources: addresses.map(({ cidr }) => new SourceRule(cidr.ip, table, priority)) };
  }
  const gateways = gatewaysByFamily(config);
  const wanted = { addresses, gateways, priority, given: previous.routes ?? [] };
  return {
    resources: [
      ...addresses.map((one) => new SourceTable(wanted, one, () => linkOf(site))),
      new MainTable(wanted, config.addSourceHints),
    ],
  };
}

export const sbr = chainedPlugin({
  type: 'sbr',
  config: schema,
  configError: 'failed to parse network configuration',
  parse,
  refuse: (config) => void gatewaysByFamily(config),
  missing: 'This plugin must be called as chained plugin',
  plan,
  lasting: (config) => [new SourceRulesLasting(() => config()?.table)],
});
