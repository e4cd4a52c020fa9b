/** Sixteen at a time on one network with few addresses, some of them killed: no address twice, and after GC nothing. */
import { Child } from '@cni-ts/libc/child';
import { type Attachment, callOf, collectOf } from '../attachment.ts';
import { addressOf } from '../chain.ts';
import { type Call, difference, Host, reservations } from '../host.ts';
import type { Network } from '../networks.ts';
import { randomOf } from '../random.ts';
import { type Report, say } from '../report.ts';
import { clip, fault, parsed } from '../verdict.ts';

const phase = 'contention';
const ways = 16;
const SIGKILL = 9;
const seconds = 60;

const network: Network = {
  type: 'bridge',
  config: {
    bridge: 'narrow0',
    isGateway: true,
    ipMasq: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/26' }]] },
  },
};

interface Worker {
  readonly one: Attachment;
  call: Call;
  verb: 'ADD' | 'DEL';
  killAt: number | undefined;
  killed: boolean;
  address: string;
  result: unknown;
}

export function contentionPhase(bin: string, report: Report, count: number, until: number): void {
  const started = performance.now();
  const before = report.counts;
  const host = new Host(bin);
  let done = 0;
  try {
    const alone = { id: 'alone', netns: host.container('alone'), ifname: 'eth0' };
    for (const verb of ['ADD', 'DEL'] as const) host.call(callOf(host, verb, network, 'narrow', alone));
    const empty = host.everything();
    const held = new Map<string, string>();
    const running = new Map<Child, Worker>();
    const random = randomOf(report.seed, phase, 0);
    const start = (worker: Worker, verb: 'ADD' | 'DEL') => {
      worker.verb = verb;
      worker.killed = false;
      worker.call = callOf(host, verb, network, 'narrow', worker.one, worker.result);
      const child = host.start(worker.call);
      worker.killAt = random.chance(0.3) ? child.started + random.fraction() * 40 : undefined;
      running.set(child, worker);
    };
    for (let at = 0; at < ways; at++) {
      const one = { id: `w${at}`, netns: host.container(`w${at}`), ifname: 'eth0' };
      const call = callOf(host, 'ADD', network, 'narrow', one);
      start(
        { one, call, verb: 'ADD', killAt: undefined, killed: false, address: '', result: undefined },
        'ADD',
      );
    }
    while (running.size > 0) {
      killDue(running);
      for (const { child, ended } of waitShortly([...running.keys()])) {
        const worker = running.get(child);
        running.delete(child);
        if (!worker) continue;
        done++;
        const { verb, killed, call } = worker;
        if (killed && ended.status >= 128) {
          report.pass();
        } else {
          const wrong =
            fault(verb, ended) ?? (ended.status === 1 ? `fails: ${clip(ended.stdout)}` : undefined);
          if (wrong) report.fail(phase, done, wrong, [call]);
          else report.pass();
        }
        if (verb === 'ADD' && ended.status === 0) {
          worker.result = parsed(ended.stdout);
          worker.address = addressOf(worker.result);
          const other = held.get(worker.address);
          if (other !== undefined) {
            report.fail(phase, done, `${worker.address} is held by ${other}, and given to ${worker.one.id}`, [
              call,
            ]);
          }
          held.set(worker.address, worker.one.id);
        }
        // It may be free as soon as DEL has begun.
        const next = verb === 'ADD' || ended.status !== 0 ? 'DEL' : 'ADD';
        if (next === 'DEL') held.delete(worker.address);
        else worker.result = undefined;
        if (done < count && performance.now() < until) start(worker, next);
      }
    }
    for (let at = 0; at < ways; at++) host.removeContainer(`/run/netns/w${at}`);
    const collected = host.call(collectOf(host, network, 'narrow'));
    if (collected.status !== 0) report.fail(phase, done, `GC fails: ${clip(collected.stdout)}`, []);
    let left = difference(empty, host.everything());
    for (let tries = 0; left.length > 0 && tries < 30; tries++) {
      host.sh('sleep 0.1');
      left = difference(empty, host.everything());
    }
    const all = [...left, ...reservations()];
    if (all.length > 0) {
      report.fail(
        phase,
        done,
        `left after GC: ${all
          .slice(0, 6)
          .map((line) => clip(line, 300))
          .join('; ')}`,
        [],
      );
    } else report.pass();
  } finally {
    host.close();
  }
  const { passed, failed } = report.counts;
  say(
    `${phase}: ${done} calls, ${ways} at a time, ${passed - before.passed} passed, ${failed - before.failed} failed (${((performance.now() - started) / 1000).toFixed(1)} s)`,
  );
}

function killDue(running: ReadonlyMap<Child, Worker>): void {
  const now = performance.now();
  for (const [child, worker] of running) {
    if (worker.killAt === undefined || worker.killAt > now) continue;
    child.signal(SIGKILL);
    worker.killAt = undefined;
    worker.killed = true;
  }
}

/** Those that have ended within some milliseconds; one that goes on for a minute is an error. */
function waitShortly(children: readonly Child[]): ReturnType<typeof Child.waitAny> {
  const oldest = Math.min(...children.map(({ started }) => started));
  if (performance.now() - oldest > seconds * 1000)
    throw new Error(`a call goes on for more than ${seconds} s`);
  return Child.waitAny(children, 0.003, 'go on');
}
