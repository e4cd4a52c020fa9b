/** `cnitool doctor`: all that can be wrong with this node and its containers, looked at, and named with its cure. */
import { endProgramsAfter } from '@cni-ts/libc/program';
import { errorText } from '@cni-ts/spec/cni-error';
import { cluster } from './doctor/cluster.ts';
import { addresses, cache, configurations, plugins, room } from './doctor/files.ts';
import { bridged, connections, forwarding, forwardPolicy, sourceChecks } from './doctor/kernel.ts';
import type { Exam, Found, Probe } from './doctor/probe.ts';
import { ports, tables } from './doctor/rules.ts';
import { checks, dhcp, duplicates, leftOver } from './doctor/state.ts';
import { survey } from './ipam/survey.ts';
import { many } from './many.ts';
import { netnsPath } from './netns-argument.ts';
import { type Attached, attachedIn, attachedNamed } from './node/attached.ts';
import { Sight } from './node/sight.ts';
import { CannotLookError, type Verb, type VerbCall } from './verb.ts';

/** Causes before what follows from them. */
const probes: readonly Probe[] = [
  configurations,
  plugins,
  cache,
  forwarding,
  forwardPolicy,
  bridged,
  tables,
  ports,
  checks,
  sourceChecks,
  cluster,
  addresses,
  duplicates,
  leftOver,
  connections,
  dhcp,
  room,
];

/** In milliseconds: a program that is asked something is killed after the first; after the second nothing long is begun. */
const programPatience = 3000;
const patience = 20_000;
/** So many findings of one code are told as text; JSON has all. */
const most = 10;

export interface Report {
  readonly findings: readonly (Found & { readonly probe: string })[];
  readonly fine: readonly { readonly probe: string; readonly what: string }[];
  readonly unknown: readonly { readonly probe: string; readonly why: string }[];
}

export const doctor: Verb = {
  about: 'Find what is wrong with this node, or with one container, and the cure; changes nothing',
  examples: [
    { call: 'cnitool doctor', about: 'all that can be wrong with this node' },
    { call: 'cnitool doctor c1', about: 'with one container, also named by its network namespace' },
  ],
  needs: ['container'],
  least: 0,
  options: [{ name: 'json', about: 'print it as JSON (dist/schemas/cnitool-doctor.json)' }],
  async run(call) {
    const sight = new Sight(call);
    const attached = chosen(sight, call.args[0]);
    const until = performance.now() + patience;
    endProgramsAfter(programPatience);
    try {
      const report = await examine({
        sight,
        call,
        attached,
        until,
        withoutRules: new Set(),
        addresses: surveyOnce(call),
      });
      if (report.findings.length > 0) call.ends(1);
      else if (report.unknown.length > 0) call.ends(3);
      return call.options('json') !== undefined ? reportJson(report) : reportText(report);
    } finally {
      endProgramsAfter(undefined);
    }
  },
};

/** By the beginning of its ID, or by its network namespace; all without a word. */
function chosen({ attached, cacheDir }: Sight, word: string | undefined): readonly Attached[] {
  if (word === undefined) return attached;
  const named = attachedNamed(attached, word);
  const found = named.length > 0 ? named : attachedIn(attached, netnsPath(word));
  const ids = new Set(found.map(({ containerId }) => containerId));
  if (ids.size === 1) return found;
  throw new CannotLookError(
    ids.size === 0
      ? `${cacheDir} remembers no container ${word === '' ? 'without a name' : word}`
      : `${word} is the beginning of ${ids.size} containers: ${[...ids].slice(0, 5).join(', ')}`,
  );
}

function surveyOnce(call: VerbCall): Exam['addresses'] {
  let looked: ReturnType<Exam['addresses']> | undefined;
  return () => {
    if (looked) return looked;
    const notes: string[] = [];
    looked = { seen: survey({ ...call, note: (line) => void notes.push(line) }), notes };
    return looked;
  };
}

async function examine(exam: Exam): Promise<Report> {
  const findings: (Found & { probe: string })[] = [];
  const fine: { probe: string; what: string }[] = [];
  const unknown: { probe: string; why: string }[] = [];
  for (const { name: probe, run } of probes) {
    try {
      const { found, fine: what, unknown: unseen = [] } = await run(exam);
      findings.push(...found.map((one) => ({ ...one, probe })));
      unknown.push(...unseen.map((why) => ({ probe, why })));
      if (found.length === 0 && what !== undefined) fine.push({ probe, what });
    } catch (error) {
      // One that cannot look keeps no other from looking.
      unknown.push({ probe, why: errorText(error) });
    }
  }
  return { findings, fine, unknown };
}

function reportText({ findings, fine, unknown }: Report): string {
  const lines: string[] = [];
  const counts = new Map<string, number>();
  for (const { code, message, cure } of findings) {
    const before = counts.get(code) ?? 0;
    counts.set(code, before + 1);
    if (before < most) lines.push(`✗ ${code} ${message} → ${cure}`);
  }
  for (const [code, count] of counts) {
    if (count > most) lines.push(`✗ ${code} ${count - most} more of these: --json has all`);
  }
  lines.push(...fine.map(({ probe, what }) => `✓ ${probe}: ${what}`));
  lines.push(...unknown.map(({ probe, why }) => `? ${probe}: ${why}`));
  lines.push(findings.length === 0 ? 'nothing was found' : many(findings.length, 'finding'));
  return `${lines.join('\n')}\n`;
}

function reportJson({ findings, fine, unknown }: Report): string {
  const told = findings.map(({ probe, code, message, cure, attachment }) => ({
    code,
    level: 'error',
    probe,
    message,
    cure,
    ...(attachment !== undefined && { attachment }),
  }));
  return `${JSON.stringify({ findings: told, fine, unknown }, undefined, 2)}\n`;
}
