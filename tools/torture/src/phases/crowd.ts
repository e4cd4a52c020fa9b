/** Many attachments to a whole chain at once, round after round: none fails, no address twice, all gone after DEL. */
import { addressOf, Walk, walkAll } from '../chain.ts';
import { difference, Host, reservations } from '../host.ts';
import { chain } from '../networks.ts';
import { type Report, say } from '../report.ts';
import { clip } from '../verdict.ts';

const phase = 'crowd';

export function crowdPhase(bin: string, report: Report, rounds: number, size: number, until: number): void {
  const started = performance.now();
  const before = report.counts;
  const host = new Host(bin);
  let round = 0;
  try {
    const ones = Array.from({ length: size }, (_, at) => ({
      id: `crowd${at}`,
      netns: host.container(`crowd${at}`),
      ifname: 'eth0',
    }));
    const walk = (verb: 'ADD' | 'DEL', results: readonly unknown[] = []) => {
      const walks = ones.map((one, at) => new Walk(host, verb, 'crowd', chain(at), one, results[at]));
      walkAll(walks);
      return walks;
    };
    // One comes and goes, for what stays for good.
    const [first] = ones;
    if (first) {
      const alone = new Walk(host, 'ADD', 'crowd', chain(0), first);
      walkAll([alone]);
      walkAll([new Walk(host, 'DEL', 'crowd', chain(0), first, alone.result)]);
    }
    const containers = ones.slice(0, 2).map(({ netns }) => netns);
    const empty = host.everything(containers);
    for (; round < rounds && performance.now() < until; round++) {
      const added = walk('ADD');
      const addresses = added.map(({ result }) => addressOf(result));
      const twice = addresses.filter((address, at) => addresses.indexOf(address) !== at);
      const deleted = walk(
        'DEL',
        added.map(({ result }) => result),
      );
      const failures = [...added, ...deleted].filter(({ complaint }) => complaint !== undefined);
      for (const { complaint = '', calls } of failures) report.fail(phase, round, complaint, calls);
      if (twice.length > 0) report.fail(phase, round, `addresses given twice: ${twice.join(', ')}`, []);
      let left = difference(empty, host.everything(containers));
      for (let tries = 0; left.length > 0 && tries < 20; tries++) {
        host.sh('sleep 0.1');
        left = difference(empty, host.everything(containers));
      }
      const reserved = reservations();
      if (left.length + reserved.length > 0) {
        const what = [...left, ...reserved].slice(0, 6).map((line) => clip(line, 300));
        report.fail(phase, round, `left after DEL: ${what.join('; ')}`, []);
      }
      if (failures.length + twice.length + left.length + reserved.length === 0) report.pass();
    }
  } finally {
    host.close();
  }
  const { passed, failed } = report.counts;
  say(
    `${phase}: ${round} rounds of ${size} chains at once, ${passed - before.passed} passed, ${failed - before.failed} failed (${((performance.now() - started) / 1000).toFixed(1)} s)`,
  );
}
