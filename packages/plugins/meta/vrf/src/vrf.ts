/**
 * vrf: puts the container's link into a VRF, a link of the same namespace that stands for a routing table of its own.
 * What comes in by the links of a VRF, and what programs send that are bound to it, is routed by that table alone. So
 * two networks of one container may use the same addresses.
 *
 * The VRF is made with the first link and goes with the last. The link's addresses stay, its routes move to the table.
 */
import { chainedPlugin } from '@cni-ts/resource/chained-plugin';
import { isAnotherContainers } from '@cni-ts/resource/container-link';
import { emptyNamespace, findNamespace } from '@cni-ts/resource/namespace';
import type { Lasting } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { findLink, listLinks, setMaster } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import { type Config, parse, schema } from './config.ts';
import { EnslavedLink } from './enslaved-link.ts';
import { createVrf, deleteUnusedVrf, isForAnother, notVrf, VrfLink } from './vrf-link.ts';

/** That the link is in the VRF, and the VRF. */
class Membership implements Lasting {
  readonly name = 'the VRF';
  readonly #config: Config | undefined;

  constructor(config: Config | undefined) {
    this.#config = config;
  }

  /** Whatever is missing by now is as it shall be. A link in another VRF stays there, and so does a VRF that is still
   *  used, or that somebody else made. */
  remove(site: Site): void {
    const { request, ifname } = site;
    const inside = findNamespace(request);
    if (!inside) return;
    const link = findLink(inside.route, ifname);
    const named = this.#config ? findLink(inside.route, this.#config.name) : undefined;
    if (named && named.kind !== 'vrf') throw new Error(notVrf(named.name));
    // Without a valid configuration: the VRF that the link is in.
    const vrf = this.#config
      ? named
      : listLinks(inside.route).find(({ index, kind }) => kind === 'vrf' && index === link?.master);
    if (!vrf || (link && isAnotherContainers(site, link)) || isForAnother(vrf, site)) return;
    if (link?.master === vrf.index)
      failing(`resetMaster: could reset master to ${ifname}`, () => setMaster(inside.route, link, 0));
    deleteUnusedVrf(inside.route, vrf);
  }
}

export const vrf = chainedPlugin<ReturnType<typeof schema>, Config>({
  type: 'vrf',
  config: schema,
  configError: 'failed to load netconf',
  parse,
  missing: 'missing prevResult from earlier plugin',
  plan: ({ name, table }) => ({
    resources: [new VrfLink(name, table), new EnslavedLink(name)],
  }),
  lasting: (config) => [new Membership(config())],
  /** Whether the kernel has VRFs is seen by making one where nobody is. */
  status({ name }, { request }) {
    createVrf(emptyNamespace(request).route, { name, table: 1, alias: '' });
  },
});
