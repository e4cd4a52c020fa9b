/** Random sequences of everything a runtime and a foreign plugin may do, against a model of what should happen. */
import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { executables } from '@cni-ts/testing/plugin-process';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { TrialNetwork } from '../test/trial-network.ts';
import { hostLocalWith } from './host-local.ts';

type Step =
  | { kind: 'add' | 'del' | 'check'; owner: number }
  | { kind: 'request'; owner: number; host: number }
  | { kind: 'foreign add'; owner: number; host: number }
  | { kind: 'foreign del'; host: number }
  | { kind: 'gc'; live: number[] };

const owner = fc.integer({ min: 0, max: 9 });
const host = fc.integer({ min: 1, max: 14 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), owner }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('del' as const), owner }) },
  fc.record({ kind: fc.constant('check' as const), owner }),
  fc.record({ kind: fc.constant('request' as const), owner, host }),
  fc.record({ kind: fc.constant('foreign add' as const), owner, host }),
  fc.record({ kind: fc.constant('foreign del' as const), host }),
  fc.record({ kind: fc.constant('gc' as const), live: fc.array(owner) }),
);

/** 10.0.0.0/28 with its gateway in the middle: hosts 1 to 14 but 8. */
const gateway = 8;
const usable = Array.from({ length: 14 }, (_, n) => n + 1).filter((n) => n !== gateway);
const name = (n: number) => `10.0.0.${n}`;
const content = (id: number) => `c${id}\r\neth0`;

/** Who owns which host number, and the one handed out last. */
interface Model {
  held: Map<number, number>;
  last: number | undefined;
}

function nextFree({ held, last = 0 }: Model): number | undefined {
  const turned = [...usable.filter((n) => n > last), ...usable.filter((n) => n <= last)];
  return turned.find((n) => !held.has(n));
}

/** Changes the model as the step should change the directory; returns what the plugin should answer. */
function expectation(model: Model, step: Step): string {
  const owned = 'owner' in step ? [...model.held].filter(([, id]) => id === step.owner).map(([n]) => n) : [];
  const give = (n: number, id: number) => {
    model.held.set(n, id);
    model.last = n;
    return `${name(n)}/28`;
  };
  switch (step.kind) {
    case 'add': {
      if (owned.some((n) => n !== undefined)) return 'duplicate';
      const free = nextFree(model);
      return free === undefined ? 'exhausted' : give(free, step.owner);
    }
    case 'request':
      if (step.host === gateway) return 'gateway';
      return model.held.has(step.host) ? 'busy' : give(step.host, step.owner);
    case 'check':
      return owned.length > 0 ? 'done' : 'missing';
    case 'del':
      for (const n of owned) model.held.delete(n);
      return 'done';
    case 'gc':
      for (const [n, id] of model.held) if (!step.live.includes(id)) model.held.delete(n);
      return 'done';
    case 'foreign add':
      if (step.host !== gateway && !model.held.has(step.host)) model.held.set(step.host, step.owner);
      return 'foreign';
    case 'foreign del':
      model.held.delete(step.host);
      return 'foreign';
  }
}

const texts = {
  duplicate: 'duplicate allocation is not allowed',
  exhausted: 'no IP addresses available in range set',
  gateway: "is subnet's gateway",
  busy: 'is not available in range set',
  missing: 'Failed to find address',
};

async function happening(net: TrialNetwork, indexFolder: string | undefined, step: Step): Promise<string> {
  const plugin = hostLocalWith(indexFolder);
  const path = 'host' in step ? join(net.directory, name(step.host)) : '';
  if (step.kind === 'foreign add') {
    if (step.host !== gateway && !net.has(name(step.host))) writeFileSync(path, content(step.owner));
    return 'foreign';
  }
  if (step.kind === 'foreign del') {
    if (net.has(name(step.host))) unlinkSync(path);
    return 'foreign';
  }
  if (step.kind === 'gc') {
    const attachments = step.live.map((id) => ({ containerID: `c${id}`, ifname: 'eth0' }));
    net.rest = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': attachments };
  }
  const command =
    step.kind === 'request' ? 'ADD' : (step.kind.toUpperCase() as 'ADD' | 'DEL' | 'CHECK' | 'GC');
  const { status, json } = await net.call(plugin, {
    command,
    ...('owner' in step && { id: `c${step.owner}` }),
    ...(step.kind === 'request' && { args: `IP=${name(step.host)}` }),
  });
  if (status === 0) return json.ips?.[0]?.address ?? 'done';
  const known = Object.entries(texts).find(([, text]) => json.msg?.includes(text));
  return known?.[0] ?? JSON.stringify(json);
}

/** The sources have shown the rules; of each executable's call a process starts. CNI_TS_WHOLE=1: as many there. */
const numRuns = executables === undefined || process.env.CNI_TS_WHOLE !== undefined ? 60 : 12;

test.each(['without an index', 'with an index'])(
  'no address is given twice, none is lost, and turns are kept, %s',
  async (mode) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 80, size: 'max' }), async (steps) => {
        using net = new TrialNetwork({ subnet: '10.0.0.0/28', gateway: name(gateway) });
        mkdirSync(net.directory, { recursive: true });
        const model: Model = { held: new Map(), last: undefined };
        for (const step of steps) {
          const expected = expectation(model, step);
          const happened = await happening(net, mode === 'with an index' ? net.indexFolder : undefined, step);
          expect([step, happened]).toEqual([step, expected]);
          const held = [...model.held].map(([n, id]) => [name(n), content(id)]);
          expect(net.reserved.map((of) => [of, net.read(of)])).toEqual(held.sort());
        }
      }),
      { numRuns },
    );
  },
  // Some 2,500 calls from sources.
  120_000,
);
