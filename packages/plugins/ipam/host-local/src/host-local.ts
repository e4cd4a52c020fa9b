/** host-local: hands out addresses of ranges written in the configuration and remembers them in files of this host.
 *
 *  Each range set gives one address to every attachment, round robin: a released address rests for a full turn, so
 *  that neighbours' ARP entries and connection tracking forget it. The directory is the reference plugin's, and both
 *  may use it at the same time (folder-store.ts of ipam-kit). DEL and CHECK need nothing but the container id and
 *  interface name, and DEL and GC of the configuration nothing but where the directory is. */
import { allocation } from '@cni-ts/ipam-kit/allocation';
import { indexFolder, reservationsFolder } from '@cni-ts/ipam-kit/data-dir';
import { Folder } from '@cni-ts/ipam-kit/folder-store';
import { available, ipamPlugin } from '@cni-ts/ipam-kit/ipam-plugin';
import { readRegular } from '@cni-ts/libc/file';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { parseResolvConf } from '@cni-ts/spec/resolv-conf';
import type { Dns } from '@cni-ts/spec/result';
import { parse, schema } from './config.ts';

/** Throws `open ‹path›: no such file or directory` and the like: callers of the reference match these texts. The path
 *  may be a link, as /etc/resolv.conf often is; a FIFO is refused, for nobody knows when it ends. */
const readResolvConf = (path: string): Dns => parseResolvConf(readRegular(path, true));

/** The plugin with its indexes in a folder of its own, or without any. */
export function hostLocalWith(indexes: string | undefined): Plugin {
  return ipamPlugin({
    type: 'host-local',
    config: schema,
    parse,
    rest({ routes, resolvConf }) {
      const dns = resolvConf === '' ? {} : readResolvConf(resolvConf);
      return {
        ...(routes.length > 0 && { routes: [...routes] }),
        ...(Object.keys(dns).length > 0 && { dns }),
      };
    },
    choose: allocation,
    sets: ({ sets }) => sets,
    store: (request) => new Folder(reservationsFolder(request), indexes),
    status({ resolvConf }) {
      if (resolvConf !== '') available('resolvConf cannot be used', () => readResolvConf(resolvConf));
    },
    failsWhenFull: ({ failStatusWhenFull }) => failStatusWhenFull,
  });
}

export const hostLocal = hostLocalWith(indexFolder);
