/** `cnitool repair`: what is remembered as attached is made so again. */
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import { written } from '@cni-ts/nftables/transaction';
import { networkNamed } from './network-named.ts';
import { rememberedAttachments } from './remembered-attachments.ts';
import { attend } from './repair/attachment.ts';
import { type Outcome, outcomeText, reportOf, summary } from './repair/outcome.ts';
import { CannotLookError, type Verb, type VerbCall } from './verb.ts';

export const repairCommand: Verb = {
  about:
    'Make what attachments need so again: rules after a flush, addresses, routes, limits; sessions live on',
  examples: [
    {
      call: 'cnitool repair --plan',
      about: 'tell what attached containers lack, as after "nft flush ruleset"',
    },
    { call: 'cnitool repair', about: 'make it so again; open connections live on' },
    { call: 'cnitool repair web', about: 'of one network' },
  ],
  needs: [],
  takes: 'networks',
  holdsSignals: true,
  callsKin: true,
  options: [
    { name: 'plan', about: 'tell what differs, and change nothing' },
    { name: 'json', about: 'print it as JSON (dist/schemas/cnitool-repair.json)' },
  ],
  async run(call) {
    const looks = call.options('plan') !== undefined;
    const isJson = call.options('json') !== undefined;
    const all = attachmentsOf(call);
    const outcomes: Outcome[] = [];
    let interrupted: { signal: string; left: number } | undefined;
    for (const one of all) {
      const signal = await call.stopped();
      if (signal !== undefined) {
        interrupted = { signal, left: all.length - outcomes.length };
        break;
      }
      const outcome = await attend(one, looks, call);
      outcomes.push(outcome);
      const text = isJson ? '' : outcomeText(outcome).trimEnd();
      if (text !== '') call.say(text);
    }
    const report = reportOf(outcomes, { ...written }, interrupted);
    if (interrupted || report.failed + report.differ > 0) call.ends(1);
    return isJson ? `${JSON.stringify(report, undefined, 2)}\n` : `${summary(report)}\n`;
  },
};

/** Those of the networks that are named, or all. */
function attachmentsOf(call: VerbCall): readonly CachedAttachment[] {
  const { args, runtime, note } = call;
  if (args.length === 0) return rememberedAttachments(runtime);
  return args.flatMap((network) => {
    const { attachments, unreadable } = runtime.remembered(network);
    for (const { path, why } of unreadable) note(`${path}: ${why}; what it is about was not looked at`);
    if (attachments.length + unreadable.length === 0) wantConfigured(network, call);
    if (attachments.length === 0) note(`nothing is remembered as attached to ${network}`);
    return attachments;
  });
}

/** A name that nobody knows is misspelt: that nothing is to repair of it says nothing. */
function wantConfigured(network: string, call: VerbCall): void {
  try {
    networkNamed(network, call);
  } catch {
    throw new CannotLookError(`no network ${JSON.stringify(network)} is configured or remembered here`);
  }
}
