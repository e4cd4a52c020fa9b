/** What stands on this host of an attachment, and that the one reader knows whose each thing is. */
import { existsSync } from 'node:fs';
import { ownerAmong } from '@cni-ts/cli/owner-names';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerIdOf, Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

/** Comments and names of chains of all rules, and names and aliases of links. */
function textsOnHost(): { comments: string[]; chains: string[]; links: string[] } {
  const listed = lab.sh('nft -j list ruleset');
  const { nftables } = JSON.parse(listed) as { nftables: Record<string, Record<string, unknown>>[] }; // reason: nft's JSON
  const comments: string[] = [];
  const chains: string[] = [];
  for (const one of nftables) {
    const thing = Object.values(one)[0] ?? {};
    if (typeof thing.comment === 'string') comments.push(thing.comment);
    if ('chain' in one) chains.push(String(thing.name));
  }
  const saved = lab.sh('iptables-save 2>/dev/null || true');
  for (const [, comment = ''] of saved.matchAll(/--comment "((?:[^"\\]|\\.)*)"/g)) {
    comments.push(comment.replaceAll('\\"', '"'));
  }
  const links = JSON.parse(lab.sh('ip -j link')) as { ifname: string; ifalias?: string }[]; // reason: iproute2's JSON
  return {
    comments,
    chains,
    links: links.flatMap(({ ifname, ifalias }) => [ifname, ...(ifalias ? [ifalias] : [])]),
  };
}

const chain = (masqBackend: string, portBackend: string) => [
  {
    type: 'bridge',
    bridge: 'br72',
    isGateway: true,
    ipMasq: true,
    macspoofchk: true,
    ...(masqBackend && { ipMasqBackend: masqBackend }),
    ipam: { type: 'host-local', subnet: '10.72.0.0/24', dataDir: lab.networks },
  },
  { type: 'portmap', ...(portBackend && { backend: portBackend }), capabilities: { portMappings: true } },
  { type: 'bandwidth', egressRate: 10_000_000, egressBurst: 1_000_000 },
];

/** Things of all attachments: tables' own comments and chains, comments for people, links that stay. */
const shared =
  /^(CNI-(HOSTPORT|FORWARD|ADMIN)|PREROUTING|POSTROUTING|OUTPUT|INPUT|prerouting|output|postrouting|masq|hostport|hostip|CNI portfwd|CNI portmap|Masquerade|lo$|br72|dnat$|[a-z]+$)/;

describe.each(
  [
    ['ours, by nftables', ours, '1.1.0', 'nftables', 'nftables'],
    ['ours, by iptables', ours, '1.1.0', 'iptables', 'iptables'],
    ['the Go plugins, by iptables', theirs, '1.0.0', '', ''],
  ].filter(([, folder = '']) => existsSync(folder)),
)('%s', (_whose, folder = '', version = '', masqBackend = '', portBackend = '') => {
  test('every comment, chain and link that an attachment brings is known as its', async () => {
    const env = {
      NETCONFPATH: lab.network('web', chain(masqBackend, portBackend), version),
      CNI_PATH: folder,
      CAP_ARGS: JSON.stringify({ portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }),
    };
    const netns = lab.container('one');
    const before = textsOnHost();
    const added = await lab.cnitool(['add', 'web', netns], env);
    expect(added).toMatchObject({ status: 0, stderr: '' });
    const owner = { network: 'web', containerId: containerIdOf(netns), ifname: 'eth0' };
    const known = [{ ...owner, containerId: 'somebody-else' }, owner];
    const after = textsOnHost();
    const own: string[] = [];
    const strangers: string[] = [];
    for (const kind of ['comments', 'chains', 'links'] as const) {
      for (const text of after[kind]) {
        if (before[kind].includes(text)) continue;
        const said = ownerAmong(text, known);
        if (said?.containerId === owner.containerId) own.push(text);
        else if (!shared.test(text)) strangers.push(text);
      }
    }
    // The Go bridge names the host's end at random: nothing but the result tells whose it is.
    const listed = (added.json?.interfaces ?? []) as { name: string }[]; // reason: a result of the specification
    const named = folder === theirs ? listed.map(({ name }) => name) : [];
    expect(strangers.filter((text) => !named.includes(text))).toEqual([]);
    expect(own.length).toBeGreaterThan(5);
  });
});
