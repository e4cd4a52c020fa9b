/**
 * dummy: gives the container a link that leads nowhere, for addresses that are to be the container's own whatever its other
 * interfaces do: service addresses, anycast, 169.254.169.254. What is sent out of it is dropped.
 */
import { errnoOf, SyscallError } from '@cni-ts/libc/syscall-error';
import type { LinkWords } from '@cni-ts/resource/container-link';
import { byRtnetlink, InnerLink } from '@cni-ts/resource/inner-link';
import { addressing } from '@cni-ts/resource/link-addressing';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import { UpperLinkLasting } from '@cni-ts/resource/upper-link';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import type { Result } from '@cni-ts/spec/result';
import { checkIpam, parse, schema } from './config.ts';
import { noOtherDefaults } from './default-route.ts';

const words: LinkWords = {
  sandbox: (netns) => `Sandbox in prevResult  doesn't match configured netns: ${netns}`,
  missing: (name) => `Container Interface name in prevResult: ${name} not found`,
  kind: (name) => `Error: Container interface ${name} not of type dummy`,
  mac: (name, recorded, found) => `Interface ${name} Mac ${recorded} doesn't match container Mac: ${found}`,
  down: (name) => `Interface ${name} is down`,
};

/** The kernel's word for a kind that it does not know. */
function advice(error: unknown): string {
  if (errnoOf(error) === 'EEXIST') return ': the container has a link of that name';
  return errnoOf(error) === 'EOPNOTSUPP'
    ? ': the kernel has no links of kind dummy; load its module "dummy"'
    : '';
}

export const dummy = mainPlugin({
  type: 'dummy',
  config: schema,
  parse,
  refuse: checkIpam,
  ipam: ({ ipam }) => ipam,
  missing: 'dummy: Required prevResult missing',
  needsIpam: true,
  noIpam: checkIpam,
  plan(config, site) {
    checkIpam(config);
    const { ifname } = site;
    const link = new InnerLink({
      kind: 'dummy',
      description: 'a dummy',
      mac: undefined,
      create: byRtnetlink(ifname, { kind: 'dummy' }),
      failure: (why, error) => `failed to create dummy: ${why}${advice(error)}`,
      taken: () => new SyscallError('RTM_NEWLINK', 'EEXIST'),
      refetch: `failed to fetch dummy "${ifname}"`,
      words,
    });
    return {
      interfaces: [{ at: 'container', name: ifname }],
      before: [link],
      after(given) {
        const result: Result = { ips: (given.ips ?? []).map((ip) => ({ ...ip, interface: 0 })) };
        if (given.routes?.length) result.routes = given.routes;
        // Not the configuration's: what IPAM says of the addresses is all there is to know of them.
        if (given.dns) result.dns = given.dns;
        const alias = linkOwner(site.owner, 'dummy');
        const options = { down: words.down(ifname), alias };
        return { resources: [...noOtherDefaults(given), ...addressing(ifname, given, options)], result };
      },
    };
  },
  lasting: () => [new UpperLinkLasting('dummy', 'dummy', () => true)],
});
