/** What a chain's dry run knows of things that plugins before this one have yet to make. */
import type { Link } from '@cni-ts/rtnetlink/link';
import type { Resource } from './resource.ts';

/** A link that is not there yet, of which the name and the kind are known. */
export function foretoldLink(name: string, kind: string): Link {
  return {
    index: 0,
    name,
    kind,
    mac: new Uint8Array(6),
    mtu: 1500,
    flags: 0,
    operState: 'down',
    promiscuity: 0,
    txQueueLength: 0,
    master: 0,
    lower: 0,
    attributes: {},
  };
}

/** What will stand at a link that is not there yet. */
export function toCome(one: Resource): Resource {
  return {
    describe: (site) => one.describe(site),
    differences: () => [{ text: 'its link is not there yet' }],
  };
}
