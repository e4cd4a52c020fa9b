/** What a container may receive and send, as resources. */
import { formatMac } from '@cni-ts/address/mac';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { refusalOfKind } from '@cni-ts/resource/kind-of-link';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { addRedirectingIngress, ingressRedirects } from '@cni-ts/rtnetlink/filter';
import { getLink, IFF_UP, type Link, setUp } from '@cni-ts/rtnetlink/link';
import { deleteRootQdisc, findQdisc, tcParent } from '@cni-ts/rtnetlink/qdisc';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import type { Interface } from '@cni-ts/spec/result';
import { addBucket, bucketDrift } from './bucket.ts';
import type { Limit } from './config.ts';
import { createIfb, deleteMarkedIfb, freeName, ifbName, ifbsOf } from './ifb.ts';
import { release, removeIfb } from './limits.ts';
import type { Bucket } from './rate-limit.ts';

export interface Want {
  /** The host's end. */
  readonly veth: Link;
  readonly limit: Limit;
  /** The limit as the kernel's bucket. */
  readonly bucket: Bucket;
}

/** What the container receives leaves the host's end, where the bucket is. */
export class Inward implements Resource {
  readonly #want: Want;

  constructor(want: Want) {
    this.#want = want;
  }

  describe(): string {
    return `tbf on ${this.#want.veth.name}: ${limitText(this.#want)}`;
  }

  ensure(site: Site): void {
    warnOfSmallBurst(site, 'ingress', this.#want);
    addBucket(site, this.#want.veth, this.#want.bucket, 'create qdisc');
  }

  differences(site: Site): Drift[] {
    return bucketDrift(site.host.route, this.#want.veth, this.#want.limit);
  }

  /** What stands in its place goes, and it is made anew. */
  mend({ host: { route } }: Site): false {
    deleteRootQdisc(route, this.#want.veth);
    return false;
  }
}

/** What it sends comes in at the host's end, which redirects it to an ifb. The bucket is at the ifb's exit. */
export class Outward implements Resource {
  readonly #want: Want;
  #ifb: Link | undefined;

  constructor(want: Want) {
    this.#want = want;
  }

  describe(site: Site): string {
    const { name } = this.entry(site);
    return `link ${name}, ifb, with tbf: ${limitText(this.#want)}\ningress of ${this.#want.veth.name} redirected to ${name}`;
  }

  ensure(site: Site): void {
    warnOfSmallBurst(site, 'egress', this.#want);
    const ifb = makeIfb(site, this.#want.veth);
    this.#ifb = ifb;
    // The bucket first: from the redirection on nothing goes by without it.
    addBucket(site, ifb, this.#want.bucket, 'create ifb qdisc: create qdisc');
    redirect(site, this.#want.veth, ifb);
  }

  foresee(site: Site, note: (text: string) => void): void {
    failing('adding link', () => {
      const refusal = refusalOfKind(site, 'ifb', note);
      if (refusal) throw refusal;
    });
  }

  differences(site: Site): Drift[] {
    const { owner, ifname } = site;
    const { route } = site.host;
    const { veth, limit } = this.#want;
    const { targets, ifb } = this.#standing(site);
    if (!ifb)
      return [{ text: 'get ifb device: Link not found', detail: `the link ${ifbName(owner)} is gone` }];
    const { name } = ifb;
    const drift = bucketDrift(route, ifb, limit);
    if (!(ifb.flags & IFF_UP)) {
      drift.push({
        text: 'ifb device is down',
        detail: `${name} is down: what ${ifname} sends is dropped there`,
      });
    }
    if (findQdisc(route, veth, tcParent.ingress)?.kind !== 'ingress') {
      const detail = `${veth.name} has no ingress qdisc: what it receives does not go through ${name}`;
      drift.push({ text: 'Failed to find ingress qdisc', detail });
    } else if (!targets.includes(ifb.index)) {
      const detail = `no filter of ${veth.name}'s ingress redirects to ${name}`;
      drift.push({ text: 'Failed to find filter', detail });
    }
    return drift;
  }

  /** The ifb that is there stays, for packets are in it; without one all of it is made anew. */
  mend(site: Site): boolean {
    const { route } = site.host;
    const { veth, limit, bucket } = this.#want;
    const { ifbs, targets, ifb } = this.#standing(site);
    if (!ifb) {
      release(route, veth, []);
      return false;
    }
    this.#ifb = ifb;
    for (const other of ifbs) if (other !== ifb) removeIfb(route, other, veth);
    if (!(ifb.flags & IFF_UP)) setUp(route, ifb);
    if (bucketDrift(route, ifb, limit).length) {
      deleteRootQdisc(route, ifb);
      addBucket(site, ifb, bucket, 'create ifb qdisc: create qdisc');
    }
    if (!targets.includes(ifb.index)) {
      release(route, veth, ifbs);
      redirect(site, veth, ifb);
    }
    return true;
  }

  /** Of another interface than eth0 the reference's ifb has another name than ours. */
  #standing({ host: { route }, owner }: Site) {
    const targets = ingressRedirects(route, this.#want.veth);
    const ifbs = ifbsOf(route, owner, this.#want.veth);
    return { targets, ifbs, ifb: ifbs.find(({ index }) => targets.includes(index)) ?? ifbs[0] };
  }

  /** The ifb in the result. In a dry run it is not there yet. */
  entry({ host: { route }, owner }: Site): Interface {
    if (this.#ifb) return { name: this.#ifb.name, mac: formatMac(this.#ifb.mac) };
    return { name: freeName(route, owner, this.#want.veth) };
  }
}

function limitText({ limit: { rate, burst } }: Want): string {
  return `${rate} bit/s, burst ${burst} bits`;
}

/** Such a limit works as it says, and nothing passes but small packets: an operator looks for the reason elsewhere. */
function warnOfSmallBurst({ request }: Site, direction: string, { veth, limit: { burst } }: Want): void {
  const ethernetHeader = 14;
  if (burst / 8n >= veth.mtu + ethernetHeader) return;
  request.log(
    `bandwidth: ${direction}Burst of ${burst} bits is less than a packet of ${veth.name}'s MTU (${veth.mtu} bytes and ` +
      `${ethernetHeader} of header): packets larger than the burst are dropped`,
  );
}

/** One at a time on this host: that a name is free must still be so when the link is made. */
function makeIfb({ host: { route }, owner, request }: Site, veth: Link): Link {
  return oneAtATime(() => {
    const name = freeName(route, owner, veth);
    request.undo.make(
      `link ${name}`,
      () => failing('adding link', () => createIfb(route, name, veth.mtu, owner)),
      () => deleteMarkedIfb(route, name, owner),
    );
    return failing('get ifb device', () => getLink(route, name));
  });
}

function redirect({ host: { route }, request }: Site, veth: Link, ifb: Link): void {
  const there = findQdisc(route, veth, tcParent.ingress);
  if (there) {
    const whose = `${veth.name} has a qdisc of kind "${there.kind}" there already`;
    throw new CniError(ErrorCode.internal, 'create ingress qdisc: file exists', whose);
  }
  request.undo.make(
    `ingress qdisc of ${veth.name}`,
    () => {
      try {
        addRedirectingIngress(route, veth, ifb);
      } catch (error) {
        const isFilter = error instanceof SyscallError && error.call === 'RTM_NEWTFILTER';
        const what = isFilter ? 'add filter' : 'create ingress qdisc';
        throw new Error(`${what}: ${errorText(error)}`, { cause: error });
      }
    },
    () => release(route, veth, [ifb]),
  );
}
