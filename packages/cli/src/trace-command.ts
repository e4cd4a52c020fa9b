/** `cnitool trace`: where a packet of a container goes, and where it ends. */
import { parseIp } from '@cni-ts/address/ip';
import { Netns } from '@cni-ts/libc/netns';
import { probe } from '@cni-ts/libc/probe-socket';
import { errorText } from '@cni-ts/spec/cni-error';
import { Dropped, type Hop, hopText } from './trace/hop.ts';
import { Place } from './trace/place.ts';
import { holdersOf, type Subject, subjectOf } from './trace/subject.ts';
import { readTarget, type Target } from './trace/target.ts';
import { walk } from './trace/walk.ts';
import { CannotLookError, UsageError, type Verb, type VerbCall } from './verb.ts';

export const trace: Verb = {
  about: 'Follow a packet of a container through the tables of the kernel, and name the hop that drops it',
  examples: [
    { call: 'cnitool trace c1 --to 192.0.2.1:80', about: 'hop by hop, to something outside' },
    { call: 'cnitool trace c1 --to 192.0.2.1:80 --probe', about: 'and whether a packet really passes' },
  ],
  needs: ['container'],
  options: [
    { name: 'to', value: 'addr:port', about: 'where it goes, also addr:port/udp, or an address for an echo' },
    { name: 'from', value: 'addr', about: 'it comes from this address outside, and not from the container' },
    { name: 'probe', about: 'send one as well, and wait for an answer' },
    { name: 'json', about: 'print it as JSON (dist/schemas/cnitool-trace.json)' },
  ],
  run: async (call) => traceContainer(call),
};

/** How long a probe waits. */
const patienceMs = 2000;

function traceContainer(call: VerbCall): string {
  const { target, from } = asked(call);
  const subject = subjectOf(call.args[0] ?? '', call.options('ifname')?.at(-1), call);
  const hops: Hop[] = [];
  const json = call.options('json') !== undefined;
  const tell = (hop: Hop) => {
    hops.push(hop);
    if (!json) call.say(hopText(hop).trimEnd());
  };
  const arrives = follow(subject, target, from, call, tell);
  if (call.options('probe') !== undefined && from === undefined) send(subject, target, arrives, tell);
  if (hops.some(({ state }) => state === 'fault' || state === 'warning')) call.ends(1);
  const fault = hops.find(({ state }) => state === 'fault');
  if (json) {
    const { name, netns, ifname } = subject;
    const to = call.options('to')?.at(-1) ?? '';
    return `${JSON.stringify({ container: name, netns, ifname, to, arrives: fault === undefined, hops }, undefined, 2)}\n`;
  }
  return fault === undefined ? 'the packet gets through\n' : `the packet ends here: ${fault.text}\n`;
}

function asked(call: VerbCall): { target: Target; from: ReturnType<typeof parseIp> } {
  const to = call.options('to')?.at(-1);
  if (to === undefined)
    throw new UsageError('trace needs --to: say where the packet goes, such as --to 192.0.2.1:80');
  const given = call.options('from')?.at(-1);
  const from = given === undefined ? undefined : parseIp(given);
  if (given !== undefined && !from) throw new UsageError(`--from ${given}: write an IP address`);
  try {
    return { target: readTarget(to), from };
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}

/** Whether it arrives, as far as the tables tell. */
function follow(
  subject: Subject,
  target: Target,
  from: ReturnType<typeof parseIp>,
  call: VerbCall,
  tell: (hop: Hop) => void,
): boolean {
  let netns: Netns;
  try {
    netns = Netns.open(subject.netns);
  } catch (error) {
    throw new CannotLookError(`the namespace of ${subject.name}: ${errorText(error)}`);
  }
  const [container, host] = [new Place(netns), new Place()];
  try {
    walk({ subject, container, host, target, from, holders: (address) => holdersOf(address, call), tell });
    return true;
  } catch (error) {
    if (!(error instanceof Dropped)) throw new CannotLookError(errorText(error));
    tell(error.hop);
    return false;
  } finally {
    container.close();
    host.close();
  }
}

function send(
  subject: Subject,
  { address, port, protocol }: Target,
  arrives: boolean,
  tell: (hop: Hop) => void,
) {
  const netns = Netns.open(subject.netns);
  try {
    const outcome = netns.run(() => probe(protocol, address.bytes, port, patienceMs));
    if (outcome.kind === 'answered') {
      tell({ at: 'probe', state: 'fine', text: outcome.what });
      return;
    }
    if (outcome.kind === 'refused' && arrives) {
      tell({ at: 'probe', state: 'fine', text: 'it was reached, and nobody listens at that port' });
      return;
    }
    if (outcome.kind === 'silent' && protocol === 'udp' && arrives) {
      tell({ at: 'probe', state: 'note', text: 'no answer, which UDP does not promise' });
      return;
    }
    const text =
      outcome.kind === 'silent'
        ? `no answer within ${patienceMs / 1000} s`
        : outcome.kind === 'refused'
          ? 'it was refused, by who was asked or by a rule'
          : `the kernel says: ${outcome.why}`;
    tell({
      at: 'probe',
      state: 'fault',
      code: 'CNI3034',
      text,
      ...(arrives && { cure: 'this host lets it through: look at who is asked, and at what is between' }),
    });
  } finally {
    netns.close();
  }
}
