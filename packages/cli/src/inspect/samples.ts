/** Nodes for tests of the picture: nothing of this machine is looked at. */
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import type { Seen, SeenAttachment, SeenLink, SeenNamespace } from './seen.ts';

const link = (index: number, name: string, more: Partial<SeenLink> = {}): SeenLink => ({
  index,
  name,
  kind: '',
  up: true,
  mtu: 1500,
  master: 0,
  lower: 0,
  alias: '',
  addresses: [],
  ...more,
});

const attachment = (
  containerId: string,
  netns: string,
  more: Partial<SeenAttachment> = {},
): SeenAttachment => ({
  network: 'web',
  containerId,
  ifname: 'eth0',
  netns,
  pod: '',
  plugins: ['bridge', 'portmap', 'bandwidth'],
  masquerade: true,
  ports: [],
  addresses: [],
  hostLinks: [],
  ...more,
});

/** A node with so many containers, as one meets them: pods on a bridge, every fifth with a second network. */
export function sampleNode(count: number): Seen {
  const links: SeenLink[] = [
    link(1, 'lo', { addresses: ['127.0.0.1/8'] }),
    link(2, 'enp3s0', { addresses: ['192.168.20.14/24', '2001:db8:20::14/64'] }),
    link(3, 'cni0', { kind: 'bridge', addresses: ['10.22.0.1/16', 'fd00:22::1/64'] }),
    link(4, 'wg0', { kind: 'wireguard', mtu: 1420 }),
    link(5, 'docker0', { kind: 'bridge', up: false, addresses: ['172.17.0.1/16'] }),
    link(6, 'enp4s0', {}),
  ];
  const attachments: SeenAttachment[] = [];
  const namespaces: SeenNamespace[] = [];
  for (let at = 0; at < count; at++) {
    const id = `${(at * 7919 + 4_294_967).toString(16).padStart(8, 'a')}${'c0ffee12'.repeat(7)}`;
    const netns = `/run/netns/cni-${id.slice(0, 8)}`;
    const pod = `${['shop', 'shop', 'monitoring'][at % 3]}/${['cart', 'checkout', 'prometheus'][at % 3]}-${at}`;
    const address = `10.22.${at >> 8}.${(at % 250) + 5}/16`;
    const six = `fd00:22::${(at + 5).toString(16)}/64`;
    const [hostIndex, innerIndex] = [100 + at, 2];
    const owner = { network: 'web', containerId: id, ifname: 'eth0' };
    const limited = at % 4 === 1;
    links.push(
      link(hostIndex, `veth${id.slice(0, 8)}`, {
        kind: 'veth',
        master: 3,
        lower: innerIndex,
        alias: linkOwner(owner, 'bridge'),
        limit: limited ? 20e6 : undefined,
      }),
    );
    if (limited) {
      const alias = linkOwner(owner, 'bandwidth');
      links.push(link(1000 + at, `bwp${id.slice(0, 8)}`, { kind: 'ifb', alias, limit: 5e6 }));
    }
    const inner = [
      link(1, 'lo'),
      link(innerIndex, 'eth0', { kind: 'veth', lower: hostIndex, addresses: [address, six] }),
    ];
    const ports = at % 3 === 0 ? [`${8080 + at}/tcp → 80`, `${9443 + at}/tcp → 443`] : [];
    attachments.push(attachment(id, netns, { pod, ports, addresses: [address, six] }));
    if (at % 5 === 1) {
      const second = `192.168.77.${at + 10}/24`;
      inner.push(link(3, 'net1', { kind: 'macvlan', lower: 6, mode: 'bridge', addresses: [second] }));
      const plugins = ['macvlan', 'sbr'];
      attachments.push(
        attachment(id, netns, {
          pod,
          network: 'storage',
          ifname: 'net1',
          plugins,
          masquerade: false,
          addresses: [second],
        }),
      );
    }
    const isGone = at % 17 === 6;
    namespaces.push({ path: netns, state: isGone ? 'gone' : 'lives', links: isGone ? [] : inner });
  }
  return {
    node: 'worker-3',
    links,
    gateways: [
      { link: 2, via: '192.168.20.1' },
      { link: 2, via: 'fe80::1' },
    ],
    attachments,
    namespaces,
  };
}

/** Everything as long, as wide and as odd as names can be. */
export function oddNode(): Seen {
  const long = 'a'.repeat(200);
  const six = 'fd12:3456:789a:bcde:1234:5678:9abc:def0/128';
  const names = [
    long,
    'W'.repeat(64),
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(2)>',
    '漢字のコンテナ'.repeat(9),
    'e\u0000\u001b[31m\u202e]]>',
    "&amp;'",
    '',
  ];
  const inner = (at: number) => [
    link(2, 'wwwwwwwwwwwwwww', {
      kind: 'veth',
      lower: 50 + at,
      up: false,
      addresses: [six, six.replace('fd12', 'fd13'), '203.0.113.254/32'],
    }),
  ];
  const ports = Array.from(
    { length: 40 },
    (_, at) => `[2001:db8:ffff:ffff:ffff:ffff:ffff:${at + 1000}]:${20_000 + at}/sctp → ${30_000 + at}`,
  );
  return {
    node: `${long}<script>`,
    links: [
      link(2, 'MMMMMMMMMMMMMMM', { kind: 'bond', up: false, addresses: [six, six, six] }),
      link(3, 'WWWWWWWWWWWWWWW', { kind: 'bridge', addresses: [six, six, six, six, six], mtu: 65_535 }),
      ...names.map((_, at) =>
        link(50 + at, `vethWWWWWWWWW${at}`, {
          kind: 'veth',
          master: 3,
          lower: 2,
          up: false,
          limit: 123_456_789,
        }),
      ),
      ...Array.from({ length: 120 }, (_, at) =>
        link(500 + at, `strangerWWWWW${at}`, { kind: 'tun', master: at % 2 === 0 ? 3 : 0 }),
      ),
    ],
    gateways: [{ link: 2, via: 'fd12:3456:789a:bcde:1234:5678:9abc:def0' }],
    attachments: names.flatMap((name, at) => [
      attachment(name, `/run/netns/${at}`, {
        ifname: 'wwwwwwwwwwwwwww',
        network: at === 0 ? long : name,
        pod: at === 1 ? `${long}/${long}` : '',
        ports,
        addresses: [six, '198.51.100.1/24'],
      }),
      attachment(name, `/run/netns/${at}`, {
        ifname: 'net1',
        network: `other-${long}`,
        plugins: ['unknown<b>'],
      }),
    ]),
    namespaces: [
      ...names.map((_, at) => ({ path: `/run/netns/${at}`, state: 'lives', links: inner(at) }) as const),
      { path: `/run/netns/${long}`, state: 'lives', links: inner(99) },
    ],
  };
}
