import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callsAtOnce } from '@cni-ts/testing/calls-at-once';
import { expect, test } from 'vitest';
import { PoolLab } from '../test/pool-lab.ts';
import { clusterPool } from './cluster-pool.ts';

const now = () => Math.floor(Date.now() / 1000);
const waited = async <T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> => {
  const start = performance.now();
  return { value: await work(), ms: performance.now() - start };
};

test('addresses are of the node’s blocks, in files of host-local, and nobody is asked (cluster-pool 1)', async () => {
  const lab = new PoolLab({ range: '10.1.0.0/16', ipRanges: [{ range: 'fd00::/64' }], gateway: '10.1.0.1' });
  lab.agent.give('net', ['10.1.7.64/28', 'fd00::7:0/124']);
  const { result } = await lab.call('ADD');
  expect(result).toMatchObject({
    ips: [{ address: '10.1.7.64/16', gateway: '10.1.0.1' }, { address: 'fd00::7:0/64' }],
  });
  expect(result?.ips?.[1]).not.toHaveProperty('gateway');
  expect(lab.read('10.1.7.64')).toBe('c1\r\neth0');
  expect(await lab.add('c2')).toBe('10.1.7.65/16 fd00::7:1/64');
  expect(lab.asked).toEqual([]);
});

test('network, broadcast and gateway addresses and what is excluded are never given (cluster-pool 2)', async () => {
  const lab = await new PoolLab({
    range: '10.1.0.0/29',
    gateway: '10.1.0.2',
    exclude: ['10.1.0.4/31'],
    addresses: [{ address: '10.1.0.3/29' }],
  }).start();
  lab.agent.give('net', ['10.1.0.0/29']);
  expect(await lab.add('c1')).toBe('10.1.0.1/29 10.1.0.3/29');
  expect(await lab.add('c2')).toBe('10.1.0.6/29 10.1.0.3/29');
  expect(await lab.add('c3')).toMatch(
    /^failed to allocate for range 0: no IP addresses available in range set/,
  );
  const l3 = { ipam: { range: '10.2.0.0/31', enable_l3: true, gateway: '', exclude: [], addresses: [] } };
  lab.agent.give('net', ['10.2.0.0/31']);
  expect(await lab.add('c4', l3)).toBe('10.2.0.0/31');
  expect(await lab.add('c5', l3)).toBe('10.2.0.1/31');
});

test('an exclusion that came later holds, also for what rests and what was asked for (cluster-pool 3)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/24', cooldown: 0 }).start();
  lab.agent.give('net', ['10.1.0.16/30']);
  expect(await lab.add('c1')).toBe('10.1.0.16/24');
  await lab.del('c1');
  const ipam = { exclude: ['10.1.0.16/31'] };
  expect(await lab.add('c2', { ipam })).toBe('10.1.0.18/24');
  expect(await lab.add('c3', { ipam })).toBe('10.1.0.19/24');
  expect(await lab.add('c4', { ipam })).toMatch(/no IP addresses available/);
  expect(await lab.add('c5', { ipam, args: 'IP=10.1.0.17' })).toMatch(/10\.1\.0\.17 is excluded/);
});

test('range, range_start, range_end and the dash are read as whereabouts reads them (cluster-pool 4)', async () => {
  const lab = new PoolLab({});
  lab.agent.give('net', ['192.168.2.224/28']);
  expect(await lab.add('c1', { ipam: { range: '192.168.2.225/28' } })).toBe('192.168.2.225/28');
  expect(await lab.add('c2', { ipam: { range: '192.168.2.230-192.168.2.231/28' } })).toBe('192.168.2.230/28');
  const ipam = { range: '192.168.2.224/28', range_start: '192.168.2.236', range_end: '192.168.2.239' };
  expect(await lab.add('c3', { ipam })).toBe('192.168.2.236/28');
});

test('a freed address rests, then the one that rested longest comes first (cluster-pool 5)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/24', cooldown: 30 }).start();
  lab.agent.give('net', ['10.1.0.16/29']);
  for (const id of ['a', 'b', 'c']) await lab.add(id);
  await lab.del('b');
  await lab.del('a');
  expect(lab.read('resting')).toMatch(/^10\.1\.0\.17 \d+\n10\.1\.0\.16 \d+\n$/);
  expect(await lab.add('d')).toBe('10.1.0.19/24');
  lab.write('resting', `not a line\n10.1.0.17 ${now() - 31}\n10.1.0.16 ${now() - 30}\n`);
  expect(await lab.add('e')).toBe('10.1.0.17/24');
  expect(await lab.add('f')).toBe('10.1.0.16/24');
  expect(lab.read('resting').trim()).toBe('not a line');
});

test('an address that rests is not given, and the error says for how long (cluster-pool 6)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/24', cooldown: 40 }).start();
  lab.agent.give('net', ['10.1.0.16/31']);
  await lab.add('a');
  await lab.add('b');
  await lab.del('a');
  const { error } = await lab.call('ADD', { id: 'c' });
  expect(error?.msg).toMatch(
    /no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.254: space default/,
  );
  expect(error?.details).toMatch(
    /blocks are 10\.1\.0\.16\/31; freed addresses rest for 40 s, the next one for (40|39)/,
  );
  expect(error?.details).toContain('cnitool gc net');
  // A clock that went back is no reason to wait.
  lab.write('resting', `10.1.0.16 ${now() + 1000}\n`);
  expect(await lab.add('d')).toBe('10.1.0.16/24');
});

test('an agent is asked for a block when there is none, and told when few are left (cluster-pool 7)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16', node_slice_size: '/29', network_name: 'blue' }).start(
    {
      blocks: ['10.1.0.8/29', '10.1.0.16/29'],
    },
  );
  expect(await lab.add('c0')).toBe('10.1.0.8/16');
  expect(lab.asked).toEqual(['confirm', 'block']);
  expect(lab.agent.questions[1]).toEqual({
    ask: 'block',
    now: true,
    network: 'net',
    space: 'blue',
    folder: lab.folder,
    cooldown: 60,
    blockLength: 29,
    ranges: [{ subnet: '10.1.0.0/16', start: '10.1.0.1', end: '10.1.255.254', exclude: [] }],
  });
  for (let i = 1; i < 6; i++) await lab.add(`c${i}`);
  expect(lab.asked).toEqual(['confirm', 'block']);
  expect(await lab.add('c6')).toBe('10.1.0.14/16');
  await expect.poll(() => lab.asked).toEqual(['confirm', 'block', 'hint']);
  await expect.poll(() => lab.agent.file('net')?.blocks.length).toBe(2);
  expect(await lab.add('c7')).toBe('10.1.0.15/16');
  expect(await lab.add('c8')).toBe('10.1.0.16/16');
  expect(lab.asked.filter((one) => one === 'block')).toHaveLength(1);
});

test('the agent is told each time that what is left of a block has halved, and not by every ADD', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16' }).start();
  lab.agent.give('net', ['10.1.0.0/27']);
  for (let i = 1; i < 32; i++) expect(await lab.add(`c${i}`)).toBe(`10.1.0.${i}/16`);
  // When 7, 3, 1 and none were left.
  await expect.poll(() => lab.asked.filter((one) => one === 'hint')).toHaveLength(4);
});

test('a block of another space counts for nothing (cluster-pool 8)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16', network_name: 'blue' }).start();
  lab.agent.give('net', ['10.1.0.8/29', { block: '10.1.1.0/29', space: 'blue', state: 'draining' }]);
  expect(await lab.add('c1')).toMatch(/space blue has no free block/);
});

test('an agent that is away or silent is an error within two seconds, with its cure, and leaves nothing (cluster-pool 9)', async () => {
  const lab = new PoolLab({ range: '10.1.0.0/16', ipRanges: [{ range: 'fd00::/64' }] });
  lab.agent.give('net', ['10.1.0.8/29']);
  const away = await waited(() => lab.call('ADD'));
  expect(away.value.error).toMatchObject({ code: 11 });
  expect(away.value.error?.msg).toMatch(/failed to allocate for range 1: .*cluster-agent is away/);
  expect(away.value.error?.details).toMatch(/systemctl start cluster-agent/);
  expect(away.ms).toBeLessThan(2000);
  expect(lab.reserved).toEqual([]);
  await lab.start({ silent: true });
  const silent = await waited(() => lab.call('ADD'));
  expect(silent.value.error?.msg).toMatch(/cluster-agent at .* has not answered in time/);
  expect(silent.value.error?.details).toMatch(/etcd may be out of its reach/);
  expect(silent.ms).toBeGreaterThan(1500);
  // From sources a call is in this process; as a program it has to start as well.
  expect(silent.ms).toBeLessThan(2400);
  expect(lab.reserved).toEqual([]);
});

test('who waits for the agent does not keep the others from their addresses (cluster-pool 10)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16' }).start({ silent: true });
  lab.agent.give('net', ['10.1.0.8/30', '10.1.0.20/32']);
  // One attachment asks for an address elsewhere, as a process of its own.
  const config = (ips: string[]) => lab.config({ more: { runtimeConfig: { ips } } });
  const start = performance.now();
  const answers = await callsAtOnce(clusterPool, 'ADD', [
    { containerId: 'waits', netns: '/nowhere', config: config(['10.1.9.9']) },
    ...['a', 'b', 'c', 'd'].map((containerId) => ({ containerId, netns: '/nowhere', config: config([]) })),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([1, 0, 0, 0, 0]);
  expect(lab.reserved).toEqual(['10.1.0.10', '10.1.0.11', '10.1.0.8', '10.1.0.9']);
  expect(performance.now() - start).toBeGreaterThan(1500);
});

test('an agent that is being restarted is waited for (cluster-pool 11)', async () => {
  const lab = new PoolLab({ range: '10.1.0.0/16' });
  await lab.start({ blocks: ['10.1.0.8/29'] });
  await lab.agent.stop();
  const [answers] = await Promise.all([
    callsAtOnce(clusterPool, 'ADD', [{ containerId: 'c1', netns: '/nowhere', config: lab.config() }]),
    new Promise((done) => setTimeout(done, 100)).then(() => lab.agent.start()),
  ]);
  expect(answers.map(({ status, stdout }) => (status === 0 ? 'given' : stdout))).toEqual(['given']);
});

test('after a boot the blocks count when the agent has confirmed them (cluster-pool 12)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16' }).start({
    refuses: { code: 11, message: 'etcd cannot be reached', details: 'bring it back' },
  });
  lab.agent.give('net', ['10.1.0.8/29'], 'another boot');
  expect(await lab.add('c1')).toMatch(/etcd cannot be reached/);
  expect(lab.reserved).toEqual([]);
  expect((await lab.call('STATUS')).error).toMatchObject({
    code: 50,
    msg: expect.stringMatching(/not been confirmed since the node was booted: etcd cannot be reached/),
  });
  lab.agent.behave({});
  expect(await lab.add('c1')).toBe('10.1.0.8/16');
});

test('an address that is asked for is taken in an own block, or borrowed alone (cluster-pool 13)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16' }).start();
  lab.agent.give('net', ['10.1.0.8/29']);
  expect(await lab.add('c1', { args: 'IP=10.1.0.12;IgnoreUnknown=1;K8S_POD_NAME=web' })).toBe('10.1.0.12/16');
  expect(lab.asked).toEqual([]);
  expect(await lab.add('c2', { more: { runtimeConfig: { ips: ['10.1.77.5/16'] } } })).toBe('10.1.77.5/16');
  expect(lab.agent.questions.at(-1)).toMatchObject({
    ask: 'pin',
    address: '10.1.77.5',
    owner: 'container c2 eth0',
    sticky: false,
  });
  expect(await lab.add('c3', { more: { args: { cni: { ips: ['10.1.77.5'] } } } })).toMatch(
    /requested IP address 10\.1\.77\.5 is not available in range set/,
  );
  // Freed, and asked for by another before the agent has given it back.
  await lab.del('c2');
  expect(await lab.add('c3', { more: { args: { cni: { ips: ['10.1.77.5'] } } } })).toBe('10.1.77.5/16');
  // Nobody gets it who has not asked for it.
  await lab.del('c3');
  for (let i = 0; i < 7; i++) await lab.add(`d${i}`);
  expect(lab.reserved).not.toContain('10.1.77.5');
});

test('what lies in no range is refused; of CNI_ARGS it is given besides (cluster-pool 14)', async () => {
  const lab = new PoolLab({ range: '10.1.0.0/16' });
  lab.agent.give('net', ['10.1.0.8/29']);
  const { result } = await lab.call('ADD', { args: 'IP=10.9.0.5/24;GATEWAY=10.9.0.1' });
  expect(result?.ips).toEqual([{ address: '10.1.0.8/16' }, { address: '10.9.0.5/24', gateway: '10.9.0.1' }]);
  expect((await lab.call('CHECK', { args: 'IP=10.9.0.5/24', prevResult: result })).status).toBe(0);
  expect(await lab.add('c2', { more: { runtimeConfig: { ips: ['10.9.0.6'] } } })).toMatch(
    /failed to allocate all requested IPs: 10\.9\.0\.6/,
  );
});

test('a pod keeps its address (cluster-pool 15)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16', sticky: true }).start({
    pins: ['10.1.5.5', '10.1.5.6'],
  });
  lab.agent.give('net', ['10.1.0.8/29']);
  const pod = (name: string) => ({ args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name}` });
  expect(await lab.add('c1', pod('web'))).toBe('10.1.5.5/16');
  expect(lab.agent.questions.at(-1)).toMatchObject({ ask: 'pin', owner: 'default/web/eth0', sticky: true });
  expect(await lab.add('c2', pod('db'))).toBe('10.1.5.6/16');
  expect(await lab.add('c3', pod('web'))).toMatch(
    /address 10\.1\.5\.5 of default\/web\/eth0 is still in use/,
  );
  await lab.del('c1');
  const asked = lab.asked.length;
  expect(await lab.add('c4', pod('web'))).toBe('10.1.5.5/16');
  expect(lab.asked).toHaveLength(asked);
  expect(await lab.add('c5', { args: 'IgnoreUnknown=1' })).toMatch(
    /ipam\.sticky: CNI_ARGS do not name the pod/,
  );
});

test('DEL and GC need neither agent nor a valid configuration (cluster-pool 16)', async () => {
  const lab = new PoolLab({ range: '10.1.0.0/16' });
  lab.agent.give('net', ['10.1.0.8/29']);
  await lab.add('c1');
  await lab.add('c2');
  writeFileSync(join(lab.agent.stateDir, 'net.json'), 'garbage');
  await lab.del('c1', { ipam: { range: 'nonsense', cooldown: 'x', ipRanges: 7 } });
  await lab.del('c1', { ipam: { range: 'nonsense', cooldown: 'x', ipRanges: 7 } });
  expect(lab.reserved).toEqual(['10.1.0.9']);
  const gc = await lab.call('GC', { ipam: { range: 1 }, more: { 'cni.dev/valid-attachments': [] } });
  expect(gc.status, gc.stdout).toBe(0);
  expect(lab.reserved).toEqual([]);
  expect(lab.read('resting')).toMatch(/10\.1\.0\.8 \d+\n10\.1\.0\.9 \d+\n/);
});

test('a damaged list of blocks is a clear error, and nothing is lost (cluster-pool 17)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16' }).start();
  lab.agent.give('net', ['10.1.0.8/29']);
  const { result } = await lab.call('ADD');
  for (const text of ['', '{', '[]', 'null', '{"node":"a","boot":"b","blocks":[{"first":"x"}]}']) {
    writeFileSync(join(lab.agent.stateDir, 'net.json'), text);
    const { error } = await lab.call('ADD', { id: 'c2' });
    expect(error?.msg).toMatch(/the list of this node's blocks .*net\.json is damaged/);
    expect(error?.details).toMatch(/restart cluster-agent/);
    expect((await lab.call('CHECK', { prevResult: result })).error?.msg).toMatch(/is damaged/);
    expect((await lab.call('STATUS')).error).toMatchObject({ code: 50 });
  }
  expect(lab.reserved).toEqual(['10.1.0.8']);
  lab.agent.give('net', ['10.1.0.8/29']);
  expect((await lab.call('CHECK', { prevResult: result })).status).toBe(0);
});

test('STATUS tells an agent that is away, its trouble, and a space that is used up (cluster-pool 18)', async () => {
  const lab = new PoolLab({ range: '10.1.0.0/16' });
  lab.agent.give('net', ['10.1.0.8/32']);
  expect((await lab.call('STATUS')).error).toMatchObject({
    code: 50,
    msg: expect.stringMatching(/cluster-agent is away/),
    details: expect.stringMatching(/systemctl start cluster-agent/),
  });
  await lab.start();
  expect((await lab.call('STATUS')).status).toBe(0);
  lab.agent.behave({ trouble: ['another node has the name node1', 'and more'] });
  expect((await lab.call('STATUS')).error).toMatchObject({
    code: 50,
    msg: expect.stringMatching(/has the name node1/),
  });
  lab.agent.behave({});
  await lab.add('c1');
  expect((await lab.call('STATUS')).error).toMatchObject({
    code: 50,
    msg: expect.stringMatching(/no address of .* is free: space default has no free block/),
  });
  lab.agent.behave({ blocks: ['10.1.0.16/30'] });
  expect((await lab.call('STATUS')).status).toBe(0);
});

test('STATUS and CHECK tell a block that is lost, and who lives there (cluster-pool 19)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16' }).start({ blocks: ['10.1.4.0/30'] });
  lab.agent.give('net', ['10.1.0.8/29']);
  const { result } = await lab.call('ADD');
  lab.agent.give('net', [{ block: '10.1.0.8/29', state: 'lost' }]);
  expect((await lab.call('STATUS')).error).toMatchObject({
    code: 51,
    msg: expect.stringMatching(/10\.1\.0\.8\/29/),
    details: expect.stringMatching(/10\.1\.0\.8 of container c1, interface eth0/),
  });
  expect((await lab.call('CHECK', { prevResult: result })).error?.msg).toMatch(
    /10\.1\.0\.8 lies in 10\.1\.0\.8\/29/,
  );
  expect((await lab.call('REPAIR', { prevResult: result })).status).toBe(1);
  expect(await lab.add('c2')).toBe('10.1.4.0/16');
  await lab.del('c1');
  expect((await lab.call('STATUS')).status).toBe(0);
});

test('a dry run tells what would be asked, and asks nothing (cluster-pool 20)', async () => {
  const lab = await new PoolLab({ range: '10.1.0.0/16' }).start({ blocks: ['10.1.4.0/30'] });
  lab.agent.give('net', []);
  const { stdout } = await lab.call('PLAN');
  expect(JSON.parse(stdout).changes).toEqual([
    {
      sign: '+',
      text: expect.stringMatching(
        /^a block of addresses of 10\.1\.0\.1-10\.1\.255\.254 for this node, by cluster-agent/,
      ),
    },
  ]);
  expect(lab.asked).toEqual([]);
  expect(lab.reserved).toEqual([]);
});

test('a flat file of whereabouts is read, and the configuration counts more (cluster-pool 21)', async () => {
  const lab = await new PoolLab({}).start({ blocks: ['10.1.0.8/29'] });
  const file = join(lab.agent.folder, 'whereabouts.conf');
  const flat = {
    datastore: 'kubernetes',
    kubernetes: { kubeconfig: '/nowhere' },
    log_level: 'debug',
    etcd_host: 'a:2379, b:2379',
    etcd_ca_cert_file: '/ca',
    gateway: '10.1.0.1',
    dataDir: '/nowhere',
  };
  writeFileSync(file, JSON.stringify(flat));
  const ipam = { range: '10.1.0.0/16', configuration_path: file, gateway: '10.1.0.2' };
  const { result, stderr } = await lab.call('ADD', { ipam });
  expect(result?.ips).toEqual([{ address: '10.1.0.8/16', gateway: '10.1.0.2' }]);
  expect(stderr).toBe('cluster-pool: no effect here have: kubernetes, log_level, datastore\n');
  expect(lab.agent.questions.at(-1)).toMatchObject({
    etcd: { endpoints: ['https://a:2379', 'https://b:2379'], caFile: '/ca' },
  });
  writeFileSync(file, '{');
  expect(await lab.add('c2', { ipam })).toMatch(/configuration file .*whereabouts\.conf cannot be read/);
  expect(await lab.add('c2', { ipam: { ...ipam, configuration_path: '/nowhere/x' } })).toMatch(
    /ipam\.configuration_path: there is no file \/nowhere\/x/,
  );
});

test('a block with millions of addresses is gone on in, and not gone through (cluster-pool 22)', async () => {
  const lab = new PoolLab({ range: 'fd00::/64' });
  lab.agent.give('net', ['fd00::ffff:0:0/100']);
  lab.write('last_reserved_ip.0', 'fd00::ffff:100:0');
  const { value, ms } = await waited(() => lab.add('c1'));
  expect(value).toBe('fd00::ffff:100:1/64');
  expect(ms).toBeLessThan(2000);
});

test.each([
  ['ipam.range', { range: '10.1.0.0' }, /ipam\.range: "10\.1\.0\.0" is no range .*prefix length is missing/],
  ['ipam.range', {}, /ipam\.range: there is no range/],
  ['ipam.range', { range: '10.1.0.0/31' }, /ipam\.range: 10\.1\.0\.0\/31 has no room/],
  [
    'ipam.range',
    { range: '10.2.0.1-10.1.0.4/16' },
    /10\.2\.0\.1, where the range begins, is not in 10\.1\.0\.0\/16/,
  ],
  [
    'ipam.range_start',
    { range: '10.1.0.0/24', range_start: '10.2.0.1' },
    /ipam\.range_start: 10\.2\.0\.1 is not in/,
  ],
  ['ipam.range_end', { range: '10.1.0.0/24', range_end: 'x' }, /ipam\.range_end: "x" is no address/],
  [
    'ipam.range_end',
    { range: '10.1.0.0/24', range_start: '10.1.0.9', range_end: '10.1.0.3' },
    /ipam\.range_end: the range ends before it begins/,
  ],
  ['ipam.exclude[0]', { range: '10.1.0.0/24', exclude: ['x'] }, /ipam\.exclude\[0\]: "x" is neither/],
  [
    'ipam.ipRanges[1].range',
    { ipRanges: [{ range: '10.1.0.0/24' }, { range: '10.1.0.128/25' }] },
    /ipam\.ipRanges\[1\]\.range: it overlaps with ipam\.ipRanges\[0\]\.range/,
  ],
  [
    'ipam.node_slice_size',
    { range: '10.1.0.0/24', node_slice_size: '/20' },
    /ipam\.node_slice_size: \/20 is larger than the range/,
  ],
  ['ipam.node_slice_size', { range: '10.1.0.0/24', node_slice_size: 'big' }, /"big" is no prefix length/],
  [
    'ipam.addresses[0]',
    { range: '10.1.0.0/24', addresses: [{ address: '10.1.0.3' }] },
    /ipam\.addresses\[0\]\.address: "10\.1\.0\.3"/,
  ],
  ['ipam.cooldown', { range: '10.1.0.0/24', cooldown: -1 }, /ipam\.cooldown/],
])('what is wrong with %s is said before anything happens: %j (cluster-pool 23)', async (_, ipam, says) => {
  const lab = new PoolLab(ipam);
  const { error } = await lab.call('ADD');
  expect(error).toMatchObject({ code: 7, msg: expect.stringMatching(says) });
  expect(lab.reserved).toEqual([]);
});

test('VALIDATE tells what ADD takes and cannot be meant (cluster-pool 24)', async () => {
  const lab = new PoolLab({ range: '10.1.0.0/24' });
  const findings = async (ipam: object) => {
    // reason: a command that the tests of other plugins do not call
    const { stdout } = await lab.call('VALIDATE' as 'ADD', { ipam });
    return JSON.parse(stdout).findings.filter(({ level }: { level: string }) => level === 'error');
  };
  expect(await findings({})).toEqual([]);
  expect(await findings({ exclude: ['10.9.0.0/24'] })).toMatchObject([
    { path: ['ipam', 'exclude', 0], message: expect.stringMatching(/10\.9\.0\.0\/24 lies in no range/) },
  ]);
  expect(await findings({ exclude: ['10.1.0.0/16'] })).toMatchObject([
    { message: expect.stringMatching(/all of the range is excluded/) },
  ]);
  expect(await findings({ node_slice_size: '/16' })).toMatchObject([{ path: ['ipam', 'node_slice_size'] }]);
});
