/** The process of FakeClusterAgent (src/fake-cluster-agent.ts): one JSON object a line, a question and its answer. */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { contains, parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import type { BlockQuestion, NetworkQuestion, PinQuestion, Question } from '@cni-ts/cluster/agent-talk';
import { blockText, isInside, single } from '@cni-ts/cluster/block';
import {
  type BlocksFile,
  blocksPath,
  formatBlocks,
  type HeldBlock,
  readBlocks,
} from '@cni-ts/cluster/blocks-file';
import { bootId, type FakeSettings, heldBlock, questionsPath } from '../src/fake-cluster-agent.ts';

const place = process.argv[2] ?? '';
const settings = (): FakeSettings => JSON.parse(readFileSync(place, 'utf8'));

const server = createServer((connection) => {
  let text = '';
  connection.on('error', () => undefined); // who asked went away
  connection.on('data', (part) => {
    text += part;
    const end = text.indexOf('\n');
    if (end < 0) return;
    const question: Question = JSON.parse(text.slice(0, end));
    appendFileSync(questionsPath(place), `${text.slice(0, end)}\n`);
    const now = settings();
    if (!now.silent) connection.end(`${JSON.stringify(answer(question, now))}\n`);
  });
});
server.listen(settings().socket);

function answer(question: Question, now: FakeSettings): unknown {
  const said = now.answers?.[question.ask];
  if (said !== undefined) return said;
  if (question.ask === 'status') {
    const etcd = { reachable: true, since: new Date().toISOString() };
    return { ok: true, node: 'node1', version: '0', etcd, trouble: now.trouble ?? [] };
  }
  if (now.refuses) return { error: now.refuses };
  if (question.ask === 'confirm') return write(question, now, []);
  if (question.ask === 'block') return block(question, now);
  if (question.ask === 'pin') return pin(question, now);
  return { error: { code: 999, message: `the agent of tests does not know ${question.ask}` } };
}

function block(question: BlockQuestion, now: FakeSettings): object {
  const held = fileOf(question, now).blocks;
  for (const text of now.blocks ?? []) {
    const one = heldBlock({ block: text, space: question.space });
    if (held.some((other) => isInside(other, one) || isInside(one, other))) continue;
    const fits = question.ranges.some(({ subnet }) => {
      const cidr = parseCidr(subnet);
      return cidr && contains(cidr, one.first);
    });
    if (fits) return write(question, now, [one]);
  }
  return {
    error: { code: 11, message: `space ${question.space} has no free block`, details: 'of the test' },
  };
}

function pin(question: PinQuestion, now: FakeSettings): object {
  const { owner, sticky, address, space } = question;
  const texts = address === undefined ? (now.pins ?? []) : [address];
  for (const text of texts) {
    const ip = parseIp(text);
    const fits = question.ranges.some(({ subnet }) => {
      const cidr = parseCidr(subnet);
      return ip && cidr && contains(cidr, ip);
    });
    const isTaken = fileOf(question, now).blocks.some((one) => ip && isInside(one, single(ip)));
    if (!ip || !fits || isTaken) continue;
    const one = { ...heldBlock({ block: blockText(single(ip)), space, owner }), sticky };
    return write(question, now, [one]);
  }
  return { error: { code: 11, message: 'no address for it', details: '' } };
}

function fileOf({ network }: NetworkQuestion, { stateDir }: FakeSettings): BlocksFile {
  return readBlocks(blocksPath(stateDir, network)) ?? { node: 'node1', boot: bootId(), blocks: [] };
}

function write(question: NetworkQuestion, now: FakeSettings, more: readonly HeldBlock[]): object {
  const path = blocksPath(now.stateDir, question.network);
  const { node, blocks } = fileOf(question, now);
  writeFileSync(`${path}.new`, formatBlocks({ node, boot: bootId(), blocks: [...blocks, ...more] }));
  renameSync(`${path}.new`, path);
  return { ok: true };
}
