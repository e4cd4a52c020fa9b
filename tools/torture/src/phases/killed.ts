/**
 * SIGKILL at a random moment of ADD or DEL, with DEL or GC after it, and SIGTERM at a random moment: nothing is left. The
 * moments come from the seed; what the program is doing then is the machine's.
 */
import { callOf, collectOf, predecessor } from '../attachment.ts';
import { type Call, difference, Host } from '../host.ts';
import { type Network, networks } from '../networks.ts';
import { type Random, randomOf } from '../random.ts';
import { type Report, say } from '../report.ts';
import { clip, fault, parsed } from '../verdict.ts';

const phase = 'killed';
const SIGKILL = 9;
const SIGTERM = 15;
const seconds = 15;
/** So many share a host. */
const group = 50;

/** IPAM alone has nothing that could be left but an address, which bridge and ptp have too. */
const targets = networks.filter(({ type }) => !['loopback', 'static'].includes(type));

export function killedPhase(bin: string, report: Report, count: number, from: number, until: number): void {
  const started = performance.now();
  const before = report.counts;
  let index = from;
  while (index < from + count && performance.now() < until) {
    const host = new Host(bin);
    try {
      const durations = measure(host);
      const everywhere = host.everything();
      const end = Math.min(index + group, from + count);
      for (let clean = true; clean && index < end && performance.now() < until; index++) {
        const random = randomOf(report.seed, phase, index);
        const network = random.pick(targets);
        const times = durations.get(network) ?? [5, 5];
        const complaint = killOne(host, random, network, times, index, everywhere);
        if (complaint) report.fail(phase, index, complaint.what, complaint.calls);
        else report.pass();
        // What one left is not to be held against the next, which gets a new host.
        clean = complaint === undefined;
      }
    } finally {
      host.close();
    }
  }
  const { passed, failed } = report.counts;
  say(
    `${phase}: ${index - from} kills, ${passed - before.passed} passed, ${failed - before.failed} failed (${((performance.now() - started) / 1000).toFixed(1)} s)`,
  );
}

/** How long ADD and DEL take here, in milliseconds. What stays for good is there afterwards. */
function measure(host: Host): Map<Network, [add: number, del: number]> {
  const netns = host.container('measure');
  const prevResult = predecessor(host, netns, 'before9', 9);
  const durations = new Map<Network, [number, number]>();
  for (const network of targets) {
    const one = { id: 'measure', netns, ifname: network.chained ? 'eth0' : 'net1' };
    const times: number[] = [];
    for (let round = 0; round < 2; round++) {
      for (const verb of ['ADD', 'DEL'] as const) {
        const child = host.start(callOf(host, verb, network, 'torture', one, network.chained && prevResult));
        const { status, stdout, wall } = child.wait(seconds);
        if (status !== 0) throw new Error(`a valid configuration: ${network.type} ${verb}: ${stdout}`);
        times.push(wall);
      }
    }
    durations.set(network, [times[2] ?? 5, times[3] ?? 5]);
  }
  host.removeContainer(netns);
  while (host.sh('ip -br link').includes('before9')) host.sh('sleep 0.02');
  return durations;
}

function killOne(
  host: Host,
  random: Random,
  network: Network,
  [addTime, delTime]: [number, number],
  index: number,
  everywhere: ReadonlySet<string>,
): { what: string; calls: Call[] } | undefined {
  const signal = random.chance(0.75) ? SIGKILL : SIGTERM;
  const verb = random.chance(0.7) ? 'ADD' : 'DEL';
  const byGc = signal === SIGKILL && verb === 'ADD' && random.chance(0.4);
  const wait = random.fraction() * 1.2 * (verb === 'ADD' ? addTime : delTime);
  const netns = host.container(`k${index}`);
  const prevResult = network.chained
    ? predecessor(host, netns, `before${index % 1000}`, index % 200)
    : undefined;
  const one = { id: `k${index}`, netns, ifname: network.chained ? 'eth0' : 'net1' };
  const before = host.everything([netns]);
  const calls: Call[] = [];
  const made = (call: Call): Call => {
    calls.push(call);
    return call;
  };
  const story = `${signal === SIGKILL ? 'SIGKILL' : 'SIGTERM'} after ${wait.toFixed(2)} ms of ${verb}`;
  const complain = (what: string) => ({ what: `${story}: ${what}`, calls });
  try {
    let result: unknown = prevResult;
    if (verb === 'DEL') {
      const { status, stdout } = host.call(made(callOf(host, 'ADD', network, 'torture', one, prevResult)));
      if (status !== 0) return complain(`ADD before it fails: ${clip(stdout)}`);
      result = parsed(stdout);
    }
    const child = host.start(made(callOf(host, verb, network, 'torture', one, result)));
    const moment = child.started + wait;
    while (performance.now() < moment); // a timer is not exact enough
    child.signal(signal);
    const ended = child.wait(seconds);
    if (signal === SIGTERM) {
      const wrong = ended.status === 128 + SIGTERM ? undefined : fault(verb, ended);
      if (wrong) return complain(wrong);
      if (ended.status === 1 && (parsed(ended.stdout) as { code?: number }).code !== 11) {
        return complain(`another answer than code 11: ${clip(ended.stdout)}`);
      }
      // Before it could take the signal it has done nothing either.
      if (verb === 'ADD' && ended.status !== 0) {
        const left = leftOf(host, before, [netns]);
        return left.length > 0 ? complain(`left by the ADD that failed: ${left.join('; ')}`) : undefined;
      }
      if (ended.status === 0) result = parsed(ended.stdout) ?? result;
    }
    if (byGc) {
      host.removeContainer(netns);
      const { status, stdout } = host.call(made(collectOf(host, network, 'torture')));
      if (status !== 0) return complain(`GC fails: ${clip(stdout)}`);
      const left = leftOf(host, everywhere, []);
      return left.length > 0 ? complain(`left after GC: ${left.join('; ')}`) : undefined;
    }
    const { status, stdout } = host.call(made(callOf(host, 'DEL', network, 'torture', one, result)));
    if (status !== 0) return complain(`DEL fails: ${clip(stdout)}`);
    const left = leftOf(host, before, [netns]);
    return left.length > 0 ? complain(`left after DEL: ${left.join('; ')}`) : undefined;
  } finally {
    host.removeContainer(netns);
    // The link to a namespace goes a moment after it.
    for (let tries = 0; tries < 100 && leftOf(host, everywhere, [], 0).length > 0; tries++)
      host.sh('sleep 0.01');
  }
}

/** portmap lets the link to a container take what is sent to the loopback's addresses, and the link keeps that; the rules
 *  that keep bridges apart are those of all containers of a bridge. */
const staysByDesign = (line: string): boolean =>
  line.includes('/route_localnet"') || line.includes('"chain":"CNI-ISOLATION-STAGE-');

/** With patience for what the kernel does a moment later, and for a killed program's children. */
function leftOf(host: Host, before: ReadonlySet<string>, containers: string[], tries = 20): string[] {
  const look = () => difference(before, host.everything(containers), staysByDesign);
  let left = look();
  for (; tries > 0 && left.length > 0; tries--) {
    host.sh('sleep 0.05');
    left = look();
  }
  return left.slice(0, 5).map((line) => clip(line, 300));
}
