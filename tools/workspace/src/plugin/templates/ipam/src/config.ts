import type { Pool } from '@cni-ts/ipam-kit/allocation';
import { Folder } from '@cni-ts/ipam-kit/folder-store';
import { cidrField } from '@cni-ts/ipam-kit/ip-field';
import { rangeSets } from '@cni-ts/ipam-kit/ranges';
import { networkConfig } from '@cni-ts/skeleton/config';
import { configText, withoutNul } from '@cni-ts/skeleton/config-text';
import type { RawRequest } from '@cni-ts/skeleton/plugin';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration; each has a row in README.md. */
export const schema = () =>
  z.object({
    cniVersion: networkConfig.cniVersion,
    ipam: z.object({ subnet: z.string(), dataDir: z.optional(z.string()) }),
  });

/** What the plugin works by: where addresses may come from. Throws for a subnet that is none, or too small. */
export function parse({ cniVersion, ipam }: z.output<ReturnType<typeof schema>>): Pool {
  const subnet = cidrField(ipam.subnet, 'ipam.subnet');
  return { sets: rangeSets([[{ subnet }]], cniVersion ?? ''), requested: [] };
}

/** Where reservations are kept. DEL and GC need nothing else of the configuration: what keeps ADD from working must not
 *  keep an address reserved for ever. */
export function folderOf({ json, network }: RawRequest): Folder {
  const dataDir = withoutNul(configText(json, 'ipam', 'dataDir'), 'ipam.dataDir');
  return new Folder(`${dataDir || '/var/lib/cni/__name__'}/${network}`, undefined);
}
