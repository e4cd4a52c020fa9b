/**
 * __name__: an address of a subnet for each attachment, remembered in a file of this host that is named after it.
 *
 * (Say here where addresses come from and who remembers them. Another choice is another `choose`, another memory another
 * `store`: packages/ipam-kit/src/store.ts has the interface.)
 */
import { allocation } from '@cni-ts/ipam-kit/allocation';
import { ipamPlugin } from '@cni-ts/ipam-kit/ipam-plugin';
import { folderOf, parse, schema } from './config.ts';

export const __plugin__ = ipamPlugin({
  type: '__name__',
  config: schema,
  parse,
  // ADD takes what this chooses, a dry run peeks at it.
  choose: allocation,
  sets: ({ sets }) => sets,
  // CHECK looks here for the attachment's reservations, REPAIR makes them again, DEL and GC release them.
  store: folderOf,
  // What the result has besides addresses: routes, say.
  rest: () => ({}),
  failsWhenFull: () => false,
});
