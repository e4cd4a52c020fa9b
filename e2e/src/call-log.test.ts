/** CNI_LOG of the executables: every process of a chain writes into one file. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
let file: string;
beforeEach(() => {
  lab = new Lab();
  file = join(lab.dir, 'log');
});
afterEach(() => lab.close());

interface Line {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  readonly kind: string;
  readonly verb: string;
  readonly plugin: string;
  readonly container: string;
  readonly step?: string;
  readonly duration: number;
  readonly error?: string;
}

const lines = (): Line[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const plugins = () => [
  {
    type: 'bridge',
    bridge: 'br77',
    isDefaultGateway: true,
    ipMasq: true,
    ipam: { type: 'host-local', subnet: '10.77.0.0/16', dataDir: lab.networks },
  },
  { type: 'portmap', capabilities: { portMappings: true } },
  { type: 'firewall' },
  // What CHECK looks for is described as what ADD would make, which is there already: no call fails for its log.
  {
    type: 'bandwidth',
    ingressRate: 8_000_000,
    ingressBurst: 800_000,
    egressRate: 8_000_000,
    egressBurst: 800_000,
  },
];

const ports = JSON.stringify({ portMappings: [{ hostPort: 8077, containerPort: 80, protocol: 'tcp' }] });

/** The steps of each call of a plugin make up its time. */
function checkSums(all: readonly Line[]): void {
  const calls = all.filter(({ kind, step }) => kind === 'plugin' && step === undefined);
  expect(calls.length).toBeGreaterThan(0);
  for (const call of calls) {
    const steps = all.filter(({ spanId, step }) => spanId === call.spanId && step !== undefined);
    const sum = steps.reduce((total, { duration }) => total + duration, 0);
    expect(sum, `${call.plugin} ${call.verb}`).toBeGreaterThanOrEqual(0.95 * call.duration);
    expect(sum, `${call.plugin} ${call.verb}`).toBeLessThanOrEqual(call.duration);
  }
}

for (const exec of [[], ['--exec']]) {
  test(`add, check and del ${exec[0] ?? 'in one process'} leave every step of every plugin in one trace each`, async () => {
    const netns = lab.container('c1');
    const folder = lab.network('web', plugins());
    const env = { NETCONFPATH: folder, CNI_LOG: file, CAP_ARGS: ports };
    for (const verb of ['add', 'check', 'del']) {
      const { status, stderr } = await lab.cnitool([verb, 'web', netns, ...exec], env);
      expect([verb, status, stderr]).toEqual([verb, 0, '']);
    }
    const all = lines();
    checkSums(all);
    expect(new Set(all.map(({ traceId }) => traceId)).size).toBe(3);
    const whole = all.filter(({ step }) => step === undefined);
    expect(whole.filter(({ error }) => error !== undefined)).toEqual([]);
    for (const plugin of ['bridge', 'host-local', 'portmap', 'firewall', 'bandwidth']) {
      for (const verb of ['ADD', 'CHECK', 'DEL']) {
        const own = whole.find((one) => one.plugin === plugin && one.verb === verb && one.kind === 'plugin');
        expect(own, `${plugin} ${verb}`).toBeDefined();
        const parent = whole.find(({ spanId }) => spanId === own?.parentId);
        const kind = plugin === 'host-local' ? 'plugin' : 'run';
        expect([plugin, verb, parent?.kind]).toEqual([plugin, verb, kind]);
      }
    }
    const steps = all.map(({ step = '' }) => step);
    for (const told of ['link eth0 up', 'masquerading of ', 'remove ', 'check ']) {
      expect(
        steps.some((step) => step.includes(told)),
        told,
      ).toBe(true);
    }
    const drawn = await lab.cnitool(['timeline', file]);
    expect(drawn.status, drawn.stderr).toBe(0);
    expect(drawn.stdout.match(/^trace /gm)).toHaveLength(3);
    expect(drawn.stdout).toMatch(/^ {4}host-local ADD /m);
  });
}

test('64 calls at once share the file: each line is whole', async () => {
  const config = (id: string) => ({ cniVersion: '1.0.0', name: id, ...plugins()[0], bridge: 'br77' });
  const netns = lab.container('many');
  const names = Array.from({ length: 64 }, (_, at) => `n${at}`);
  const script = names
    .map(
      (
        name,
      ) => `printf '%s' '${JSON.stringify(config(name))}' | CNI_LOG=${file} CNI_COMMAND=DEL CNI_CONTAINERID=${name} \
        CNI_NETNS=${netns} CNI_IFNAME=eth0 CNI_PATH=${ours} ${ours}/bridge &`,
    )
    .join('\n');
  lab.sh(`${script}\nwait`);
  const all = lines();
  checkSums(all);
  const whole = all.filter(({ step, plugin }) => step === undefined && plugin === 'bridge');
  expect(whole.map(({ container }) => container).sort()).toEqual([...names].sort());
});

test.skipIf(!existsSync(theirs))(
  '--timing of a chain with foreign plugins tells the time of each process, and the steps of ours',
  async () => {
    const netns = lab.container('c1');
    const path = lab.pluginsFrom('mixed', {
      bridge: theirs,
      'host-local': theirs,
      portmap: ours,
      firewall: ours,
      bandwidth: theirs,
    });
    const env = { NETCONFPATH: lab.network('web', plugins()), CNI_PATH: path, CAP_ARGS: ports };
    const { status, stdout, stderr } = await lab.cnitool(['add', 'web', netns, '--timing'], env);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty('ips');
    expect(stderr).toMatch(/^trace [0-9a-f]{32} at /);
    expect(stderr).toMatch(/^ {2}bridge ADD +[\d.]+ ms /m);
    expect(stderr).toMatch(/^ {2}portmap ADD +[\d.]+ ms +.*\n {4}/m);
    await lab.cnitool(['del', 'web', netns], env);
  },
);
