/** cluster-pool: addresses that all nodes of a cluster share, without a word with any of them. This node's agent has
 *  borrowed blocks of addresses from etcd; within these the plugin is host-local, in host-local's own folder. Only when
 *  they have no free address is the agent asked, and waited for. Called as `whereabouts` it is the same, and whereabouts'
 *  configuration is read as it is. */
import { indexFolder, reservationsFolder } from '@cni-ts/ipam-kit/data-dir';
import { Folder } from '@cni-ts/ipam-kit/folder-store';
import { ipamPlugin } from '@cni-ts/ipam-kit/ipam-plugin';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { clusterChoice } from './cluster-choice.ts';
import { parse, refuse, schema } from './config.ts';
import { lostAddresses } from './node-blocks.ts';
import { putToRest } from './resting-queue.ts';
import { status } from './status.ts';

export const clusterPool: Plugin = ipamPlugin({
  type: 'cluster-pool',
  config: schema,
  parse,
  refuse,
  rest: ({ routes, dns }) => ({ ...(routes.length > 0 && { routes: [...routes] }), ...(dns && { dns }) }),
  more: ({ fixed }) => fixed,
  choose: clusterChoice,
  sets: ({ ranges }) => ranges.map(({ set }) => set),
  store(request) {
    const folder = reservationsFolder(request);
    return new Folder(folder, indexFolder, (name) => {
      try {
        putToRest(folder, name);
      } catch (error) {
        // A full disk: that an address rests matters less than that it comes back.
        request.log(`cluster-pool: ${name} does not rest: ${errorText(error)}`);
      }
    });
  },
  lost: lostAddresses,
  status,
  // The status asks the agent, who knows whether there is another block.
  failsWhenFull: () => false,
});
