/** bandwidth: limits what a container receives and sends, at the host's end of its veth pair.
 *
 *  The kernel delays what leaves a link, not what comes in. What the container receives leaves the host's end, so a
 *  token bucket there is enough. What it sends comes in there: it is redirected to an ifb, a link that gives back
 *  all that it is sent, and the bucket stands at the ifb's exit. */
import { formatMac } from '@cni-ts/address/mac';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import { Netns } from '@cni-ts/libc/netns';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { Netlink } from '@cni-ts/netlink/socket';
import { ownNamespace } from '@cni-ts/resource/namespace';
import { addRedirectingIngress, ingressRedirects, redirectIngress } from '@cni-ts/rtnetlink/filter';
import { deleteLink, getLink, IFF_UP, type Link } from '@cni-ts/rtnetlink/link';
import {
  addBucketQueue,
  addIngress,
  addTokenBucket,
  deleteQdisc,
  findQdisc,
  ingress,
  rootBucket,
  tcParent,
} from '@cni-ts/rtnetlink/qdisc';
import { type Change, type DryRun, definePlugin, type Request } from '@cni-ts/skeleton/plugin';
import { repairByCheck } from '@cni-ts/skeleton/repair-by-check';
import type { Undo } from '@cni-ts/skeleton/undo';
import { CniError, cannotServe, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { failing, tryAll } from '@cni-ts/spec/failing';
import type { Result } from '@cni-ts/spec/result';
import { type Config, type Limit, parse, schema } from './config.ts';
import { exactIntegers } from './exact-integers.ts';
import { hostEnd, remainingHostEnd } from './host-end.ts';
import { createIfb, deleteMarkedIfb, freeName, ifbName, ifbsOf, redirectedTo, staleIfbs } from './ifb.ts';
import { type Bucket, bucketDifferences, type Difference, tokenBucket } from './rate-limit.ts';

function add(request: Request<Config>): Result {
  const { config, prevResult, undo } = request;
  if (prevResult === undefined) throw new Error('must be called as chained plugin');
  if (!config.ingress && !config.egress) return prevResult;
  // What the kernel would refuse is refused here, before anything is made.
  const inward = config.ingress && tokenBucket(config.ingress);
  const outward = config.egress && tokenBucket(config.egress, 'create ifb qdisc: ');
  const host = ownNamespace(request).route;
  const veth = hostEnd(request, prevResult, host);
  warnOfSmallBursts(request, veth);
  if (inward) {
    const what = `tbf of ${veth.name}`;
    undo.make(
      what,
      () => failing('create qdisc', () => addBucket(host, veth, inward)),
      () => removeBucket(host, veth, inward),
    );
  }
  if (!outward) return prevResult;
  const ifb = makeIfb(request, host, veth);
  // The bucket first: from the redirection on nothing goes by without it.
  failing('create ifb qdisc: create qdisc', () => addBucket(host, ifb, outward));
  redirect(host, veth, ifb, undo);
  const interfaces = [...(prevResult.interfaces ?? []), { name: ifb.name, mac: formatMac(ifb.mac) }];
  return { ...prevResult, interfaces };
}

/** Which limits would stand where. */
function plan(request: Request<Config>): DryRun {
  const { config, prevResult } = request;
  if (prevResult === undefined) throw new Error('must be called as chained plugin');
  if (!config.ingress && !config.egress) return { changes: [], result: prevResult };
  const host = ownNamespace(request).route;
  const veth = hostEnd(request, prevResult, host);
  for (const limit of [config.ingress, config.egress]) if (limit) tokenBucket(limit);
  const changes: Change[] = [];
  const text = ({ rate, burst }: Limit) => `${rate} bit/s, burst ${burst} bits`;
  if (config.ingress) changes.push({ sign: '+', text: `tbf on ${veth.name}: ${text(config.ingress)}` });
  if (!config.egress) return { changes, result: prevResult };
  const name = freeName(host, request, veth);
  changes.push(
    { sign: '+', text: `link ${name}, ifb, with tbf: ${text(config.egress)}` },
    { sign: '+', text: `ingress of ${veth.name} redirected to ${name}` },
  );
  return { changes, result: { ...prevResult, interfaces: [...(prevResult.interfaces ?? []), { name }] } };
}

/** From the beginning; a qdisc that somebody put in the place of our bucket goes. */
async function limitAgain(request: Request<Config>): Promise<void> {
  await del(request);
  const { config, prevResult = {} } = request;
  const host = ownNamespace(request).route;
  const veth = hostEnd(request, prevResult, host);
  const instead = config.ingress && findQdisc(host, veth);
  if (instead?.handle) deleteQdisc(host, veth, { handle: instead.handle, parent: tcParent.root });
  add(request);
}

function addBucket(host: Netlink, link: Link, bucket: Bucket): void {
  addTokenBucket(host, link, bucket);
  const { queue } = bucket;
  if (queue === undefined) return;
  try {
    addBucketQueue(host, link, queue);
  } catch (error) {
    // The caller takes a refusal for: nothing was made.
    deleteQdisc(host, link, rootBucket);
    throw error;
  }
}

/** Only the very bucket: without an answer nobody knows whether it was made, or somebody's was in the way. */
function removeBucket(host: Netlink, link: Link, bucket: Bucket): void {
  const found = findQdisc(host, link)?.tokenBucket;
  if (!found || found.rate !== bucket.rate || found.limit !== bucket.limit || found.buffer !== bucket.buffer)
    return;
  deleteQdisc(host, link, rootBucket);
}

/** One at a time on this host: that a name is free must still be so when the link is made. */
function makeIfb(request: Request<Config>, host: Netlink, veth: Link): Link {
  return oneAtATime(() => {
    const name = freeName(host, request, veth);
    request.undo.make(
      `link ${name}`,
      () => failing('adding link', () => createIfb(host, name, veth.mtu, request)),
      () => deleteMarkedIfb(host, name, request),
    );
    return failing('get ifb device', () => getLink(host, name));
  });
}

function redirect(host: Netlink, veth: Link, ifb: Link, undo: Undo): void {
  const there = findQdisc(host, veth, tcParent.ingress);
  if (there) {
    const whose = `${veth.name} has a qdisc of kind "${there.kind}" there already`;
    throw new CniError(ErrorCode.internal, 'create ingress qdisc: file exists', whose);
  }
  undo.make(
    `ingress qdisc of ${veth.name}`,
    () => {
      try {
        addRedirectingIngress(host, veth, ifb);
      } catch (error) {
        const isFilter = error instanceof SyscallError && error.call === 'RTM_NEWTFILTER';
        const what = isFilter ? 'add filter' : 'create ingress qdisc';
        throw new Error(`${what}: ${errorText(error)}`, { cause: error });
      }
    },
    () => release(host, veth, [ifb]),
  );
}

/** Such a limit works as it says, and nothing passes but small packets: an operator looks for the reason elsewhere. */
function warnOfSmallBursts({ config, log }: Request<Config>, { name, mtu }: Link): void {
  const ethernetHeader = 14;
  for (const direction of ['ingress', 'egress'] as const) {
    const burst = config[direction]?.burst;
    if (burst === undefined || burst / 8n >= mtu + ethernetHeader) continue;
    log(
      `bandwidth: ${direction}Burst of ${burst} bits is less than a packet of ${name}'s MTU (${mtu} bytes and ` +
        `${ethernetHeader} of header): packets larger than the burst are dropped`,
    );
  }
}

function check(request: Request<Config>): void {
  const { config, prevResult } = request;
  // Also without limits the documented order is kept: configuration, prevResult, namespace, interface.
  if (prevResult === undefined) throw new Error('must be called as a chained plugin');
  const host = ownNamespace(request).route;
  const veth = hostEnd(request, prevResult, host);
  const drift: Difference[] = [];
  if (config.ingress) drift.push(...limitDifferences(host, veth, config.ingress));
  if (config.egress) drift.push(...egressDifferences(request, host, veth, config.egress));
  const [first] = drift;
  if (first === undefined) return;
  throw new CniError(ErrorCode.internal, first.text, drift.map(({ detail }) => detail).join('; '));
}

function limitDifferences(host: Netlink, link: Link, limit: Limit): Difference[] {
  const found = findQdisc(host, link);
  if (found?.tokenBucket) return bucketDifferences(link.name, limit, found.tokenBucket);
  const instead = found?.handle ? `its root qdisc is ${found.kind}` : 'it has no root qdisc';
  return [{ text: 'Failed to find qdisc', detail: `${link.name} is not limited: ${instead}, should be tbf` }];
}

function egressDifferences(owner: Request<Config>, host: Netlink, veth: Link, limit: Limit): Difference[] {
  const targets = ingressRedirects(host, veth);
  // Of another interface than eth0 the reference's ifb has another name than ours.
  const found = ifbsOf(host, owner, veth);
  const ifb = found.find(({ index }) => targets.includes(index)) ?? found[0];
  if (!ifb) {
    const detail = `the link ${ifbName(owner)} is gone`;
    return [{ text: 'get ifb device: Link not found', detail }];
  }
  const { name } = ifb;
  const drift = limitDifferences(host, ifb, limit);
  if (!(ifb.flags & IFF_UP)) {
    const detail = `${name} is down: what ${owner.ifname} sends is dropped there`;
    drift.push({ text: 'ifb device is down', detail });
  }
  if (findQdisc(host, veth, tcParent.ingress)?.kind !== 'ingress') {
    const detail = `${veth.name} has no ingress qdisc: what it receives does not go through ${name}`;
    drift.push({ text: 'Failed to find ingress qdisc', detail });
  } else if (!targets.includes(ifb.index)) {
    const detail = `no filter of ${veth.name}'s ingress redirects to ${name}`;
    drift.push({ text: 'Failed to find filter', detail });
  }
  return drift;
}

/** Needs no valid configuration: names follow from the attachment, and a DEL that fails is repeated for ever. */
async function del(request: Request<Config>): Promise<void> {
  const host = ownNamespace(request).route;
  const veth = remainingHostEnd(request, host);
  const ifbs = ifbsOf(host, request, veth);
  const steps = ifbs.map((ifb) => () => removeIfb(host, ifb, veth));
  if (veth) {
    steps.unshift(
      () => release(host, veth, ifbs),
      () => releaseBucket(host, veth),
    );
  }
  await tryAll(steps);
}

/** Takes the redirection off a link. One that leads elsewhere is not ours; nor is an ingress qdisc without any, since
 *  ours has its filter from its first moment, but where an ADD of an earlier release was killed beside its ifb. */
function release(host: Netlink, link: { readonly index: number }, ifbs: readonly Link[]): void {
  const targets = ingressRedirects(host, link);
  // 0: the ifb was deleted before its redirection, as the reference does. All the container sends is lost since.
  const ours = new Set([0, ...ifbs.map(({ index }) => index)]);
  if (!targets.every((target) => ours.has(target))) return;
  const isHalfMade = () => ifbs.length > 0 && findQdisc(host, link, tcParent.ingress)?.kind === 'ingress';
  if (targets.length > 0 || isHalfMade()) {
    failing('delete ingress qdisc', () => deleteQdisc(host, link, ingress));
  }
}

/** Takes the bucket off the attachment's link, whatever the configuration says of limits by now: one of ours is 1:,
 *  which nobody has by accident. */
function releaseBucket(host: Netlink, link: { readonly index: number }): void {
  const found = findQdisc(host, link);
  if (found?.tokenBucket && found.handle === rootBucket.handle) {
    failing('delete qdisc', () => deleteQdisc(host, link, rootBucket));
  }
}

/** Links other than `veth` that lead to it are let go first: they would lose all that they receive. */
function removeIfb(host: Netlink, ifb: Link, veth?: Link): void {
  if (!veth) {
    for (const index of redirectedTo(host, ifb)) {
      release(host, { index }, [ifb]);
      releaseBucket(host, { index });
    }
  }
  failing(`failed to delete "${ifb.name}"`, () => deleteLink(host, ifb));
}

async function gc(request: Request<Config>): Promise<void> {
  const host = ownNamespace(request).route;
  const stale = staleIfbs(host, request.network, request.validAttachments);
  await tryAll(stale.map((ifb) => () => removeIfb(host, ifb)));
}

/** Whom STATUS makes its links for. */
const nobody = { network: '-', containerId: '-', ifname: '-' };

/** Tries all that ADD does in a namespace that is thrown away: whether the kernel can do it is known only then. */
function status(request: Request<Config>): void {
  try {
    const { ingress: inward, egress: outward } = request.config;
    for (const limit of [inward, outward]) if (limit) tokenBucket(limit);
    const scratch = Netns.create();
    request.onEnd(() => scratch.close());
    const route = Netlink.open('route', scratch);
    request.onEnd(() => route.close());
    failing('adding link', () => createIfb(route, 'ifb', 1500, nobody));
    const ifb = getLink(route, 'ifb');
    const some = tokenBucket({ rate: 8_000_000n, burst: 800_000n });
    failing('create qdisc', () => addTokenBucket(route, ifb, some));
    failing('create ingress qdisc', () => addIngress(route, ifb));
    failing('add filter', () => redirectIngress(route, ifb, getLink(route, 'lo')));
  } catch (error) {
    throw cannotServe('bandwidth', errorText(error), '', error);
  }
}

export const bandwidth = definePlugin({
  type: 'bandwidth',
  config: schema,
  configError: 'failed to parse network configuration',
  readJson: exactIntegers,
  parse,
  add,
  check,
  del,
  gc,
  status,
  plan,
  repair: (request) =>
    repairByCheck(
      () => check(request),
      () => limitAgain(request),
    ),
});
