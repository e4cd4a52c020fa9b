/** `cnitool ipam`: the addresses of the node's networks, who has them, and which are lost; and those that it shares with a
 *  cluster. */
import { parseIp } from '@cni-ts/address/ip';
import { readText, replaceRegular } from '@cni-ts/libc/file';
import { parseJson } from '@cni-ts/libcni/json';
import { errorText } from '@cni-ts/spec/cni-error';
import { fenceNode, importPools, spaces } from './cluster/commands.ts';
import { findingLine, findingsIn, type IpamFinding, readReport } from './ipam/check.ts';
import { releaseLeaked } from './ipam/release.ts';
import { showJson, showText } from './ipam/show.ts';
import { Standings } from './ipam/standing.ts';
import { networksOf } from './ipam/stores.ts';
import { isFull, type NetworkView, type Survey, survey, usesOf, whose } from './ipam/survey.ts';
import { reasonsOf } from './ipam/why.ts';
import { CannotLookError, UsageError, type Verb, type VerbCall } from './verb.ts';

export const ipamCommand: Verb = {
  about:
    'Tell of addresses: show [network], why <address>, check [network], release --from-report <file>; of a cluster: spaces [space], fence <node>, import --whereabouts <file>',
  examples: [
    { call: 'cnitool ipam show web', about: 'the ranges of a network, and who holds what' },
    { call: 'cnitool ipam why 10.22.0.7', about: 'who has an address, or why nobody has it' },
    {
      call: 'cnitool ipam check -o report.json',
      about: 'what is leaked, twice, or lies outside; for release',
    },
    { call: 'cnitool ipam release --from-report report.json', about: 'give back what is leaked' },
    { call: 'cnitool ipam spaces', about: "which node holds which of the cluster's addresses" },
    {
      call: 'cnitool ipam fence node2 --off --yes',
      about: 'take back what a node holds that is off for good',
    },
    {
      call: 'cnitool ipam import --whereabouts ippools.json',
      about: "which addresses of whereabouts' this node would take over",
    },
  ],
  needs: [],
  words: ['show', 'why', 'check', 'release', 'spaces', 'fence', 'import'],
  takes: 'arguments',
  options: [
    { name: 'json', about: 'print it as JSON (dist/schemas/cnitool-ipam-….json)' },
    { name: 'output', short: '-o', value: 'file', about: 'check: write the findings there, for release' },
    {
      name: 'from-report',
      value: 'file',
      about: 'release: give back what that report calls leaked (CNI2020), where it is still so',
    },
    {
      name: 'off',
      about: 'fence: the node is off and its containers are gone, which you swear: take back all it holds',
    },
    {
      name: 'whereabouts',
      value: 'file',
      about: 'import: what "kubectl get ippools.whereabouts.cni.cncf.io -A -o json" (or yaml) printed',
    },
    { name: 'yes', about: 'fence and import: do what they tell' },
    { name: 'socket', value: 'file', about: 'spaces, fence and import: where cluster-agent listens' },
  ],
  run(call) {
    const [what = 'show', ...args] = call.args;
    const most = what === 'release' || what === 'import' ? 0 : 1;
    if (args.length > most) throw new UsageError(`ipam ${what} takes ${most} arg(s), got ${args.join(' ')}`);
    switch (what) {
      case 'show':
        return Promise.resolve(show(call, args[0]));
      case 'why':
        return Promise.resolve(why(call, args[0]));
      case 'check':
        return Promise.resolve(check(call, args[0]));
      case 'release':
        return Promise.resolve(release(call));
      case 'spaces':
        return Promise.resolve(spaces(call, args[0]));
      case 'fence':
        return Promise.resolve(fenceNode(call, args[0]));
      case 'import':
        return Promise.resolve(importPools(call));
      default:
        throw new UsageError(`ipam ${what}: write ipam show, why, check, release, spaces, fence or import`);
    }
  },
};

const json = (value: object) => `${JSON.stringify(value, undefined, 2)}\n`;

/** All networks that keep addresses, or the one of this name. */
function looked(call: VerbCall, name: string | undefined): Survey {
  const found = survey(call);
  const networks = found.networks.filter(({ network }) =>
    name === undefined ? network.stores.length + network.others.length > 0 : network.name === name,
  );
  if (name !== undefined && networks.length === 0) {
    throw new CannotLookError(`no network "${name}" is configured or remembered here`);
  }
  return { ...found, networks };
}

function isTroubled({ stores }: NetworkView): boolean {
  return stores.some(
    (one) => one.holders.some(({ standing }) => standing.stale !== undefined) || usesOf(one).some(isFull),
  );
}

function show(call: VerbCall, name: string | undefined): string {
  const { networks } = looked(call, name);
  if (networks.some(isTroubled)) call.ends(1);
  return call.options('json') === undefined
    ? showText(networks, name !== undefined)
    : json(showJson(networks));
}

function why(call: VerbCall, text: string | undefined): string {
  const ip = text === undefined ? undefined : parseIp(text.replace(/\/\d+$/, ''));
  if (!ip) throw new UsageError(`ipam why takes an address, got ${text ?? 'nothing'}`);
  const reasons = reasonsOf(ip, looked(call, undefined));
  if (reasons.length === 0 || reasons.some(({ isStale }) => isStale)) call.ends(1);
  if (call.options('json') !== undefined) return json({ address: text, reasons });
  if (reasons.length === 0) return `${text} is in no range of this node's networks, and nobody holds it\n`;
  return reasons
    .map(
      ({ network, text: reason, cure }) => `${text} ${network}: ${reason}\n${cure ? `cure: ${cure}\n` : ''}`,
    )
    .join('');
}

function check(call: VerbCall, name: string | undefined): string {
  const found = findingsIn(looked(call, name));
  const report = { version: 1, findings: found };
  const file = call.options('output')?.at(-1);
  if (file !== undefined) replaceRegular(file, json(report), 0o600);
  if (found.some(({ level }) => level !== 'note')) call.ends(1);
  if (call.options('json') !== undefined) return json(report);
  const lines = [...found.map(findingLine), summary(found)];
  if (file !== undefined && found.some(({ code }) => code === 'CNI2020')) {
    lines.push(`cure: cnitool ipam release --from-report ${file}`);
  }
  return `${lines.join('\n')}\n`;
}

function summary(found: readonly IpamFinding[]): string {
  const many = (level: string, count = found.filter((one) => one.level === level).length) =>
    `${count} ${level}${count === 1 ? '' : 's'}`;
  return `${many('error')}, ${many('warning')}, ${many('note')}`;
}

function release(call: VerbCall): string {
  const file = call.options('from-report')?.at(-1);
  if (file === undefined) {
    throw new UsageError('ipam release takes --from-report FILE, which cnitool ipam check -o FILE writes');
  }
  let findings: IpamFinding[];
  try {
    findings = readReport(parseJson(readText(file)));
  } catch (error) {
    throw new CannotLookError(`${file}: ${errorText(error)}`);
  }
  const standings = new Standings(call);
  const done = releaseLeaked(findings, networksOf(call, standings.cached), standings);
  if (call.options('json') !== undefined) return json({ released: done });
  const left = done.filter(({ left: why }) => why !== undefined).length;
  return [
    ...done.map(({ network, address, left: reason, ...of }) =>
      reason === undefined
        ? `released ${network} ${address}: it was of ${whose(of)}`
        : `left ${network} ${address}: ${reason}`,
    ),
    `${done.length - left} released, ${left} left as they are`,
    '',
  ].join('\n');
}
