import { LinkUp } from '@cni-ts/resource/link-up';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import { UpperLink, UpperLinkLasting } from '@cni-ts/resource/upper-link';
import { getLink } from '@cni-ts/rtnetlink/link';
import { networkConfig } from '@cni-ts/skeleton/config';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import * as z from 'zod/mini';

const words = {
  sandbox: (netns: string) => `prevResult is of another container than ${netns}`,
  missing: (name: string) => `the link ${name} is gone`,
  kind: (name: string) => `the link ${name} is no macvtap`,
  mac: (name: string, recorded: string, found: string) => `the MAC of ${name} is ${found}, not ${recorded}`,
  down: (name: string) => `the link ${name} is down`,
};

/** A sample: a main plugin of a kind of link that none here makes. Its verbs follow from what it needs. */
export const macvtap = mainPlugin({
  type: 'macvtap',
  config: z.object({ ...networkConfig, master: z.string() }),
  parse: ({ master }) => ({ master }),
  ipam: () => '',
  missing: 'required prevResult missing',
  plan({ master }, site) {
    const link = new UpperLink({
      plugin: 'macvtap',
      info: { kind: 'macvtap', data: { mode: 'bridge' } },
      master: () => getLink(site.host.route, master),
      outside: 'host',
      mtu: undefined,
      mac: undefined,
      words,
      dataDrift: () => [],
    });
    const up = new LinkUp(
      'container',
      site.ifname,
      words.down(site.ifname),
      linkOwner(site.owner, 'macvtap'),
    );
    return { interfaces: [{ at: 'container', name: site.ifname }], before: [link, up], result: {} };
  },
  lasting: () => [new UpperLinkLasting('macvtap', 'macvtap', () => false)],
});
