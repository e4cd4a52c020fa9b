import type { PluginConfig } from '../attachment.ts';
import {
  addressInContainer,
  bridgePort,
  linkInContainer,
  reservation,
  rules,
  setting,
  shaping,
} from '../check.ts';
import type { Host } from '../host.ts';
import { type AttachmentScenario, attachments, parallel } from '../scenario.ts';

const bridge = 'cni0';

function plugins(host: Host): PluginConfig[] {
  return [
    {
      type: 'bridge',
      bridge,
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: { type: 'host-local', subnet: '10.22.0.0/16', dataDir: host.dataDir },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'firewall' },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
    { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.arp_filter': '1' } },
  ];
}

const full = {
  types: ['bridge', 'host-local', 'portmap', 'firewall', 'bandwidth', 'tuning'],
  network: (host) => ({
    name: 'full',
    plugins: plugins(host),
    runtime: (container) => ({
      portMappings: [
        { hostPort: 20000 + 2 * container, containerPort: 80, protocol: 'tcp' },
        { hostPort: 20001 + 2 * container, containerPort: 53, protocol: 'udp' },
      ],
      bandwidth: {
        ingressRate: 8_000_000,
        ingressBurst: 800_000,
        egressRate: 8_000_000,
        egressBurst: 800_000,
      },
    }),
  }),
  checks: [
    addressInContainer,
    linkInContainer,
    reservation,
    bridgePort(bridge),
    rules,
    shaping,
    setting('net.ipv4.conf.eth0.arp_filter', '1'),
  ],
} satisfies Partial<AttachmentScenario>;

export const chain = attachments({
  ...full,
  name: 'chain',
  title: 'bridge + portmap + firewall + bandwidth + tuning',
  targets: { ADD: 0.2, CHECK: 0.5, DEL: 0.25 },
  details: true,
  costs: true,
  limits: { 'private memory': 8 },
});

export const chainByCnitool = attachments({
  ...full,
  name: 'chain-cnitool',
  title: 'the same chain by cnitool; Go one by one',
  targets: { ADD: 0.12 },
  byCnitool: true,
  costs: true,
});

/** As on a host where something else keeps many rules: a proxy for services, say. */
export const chainAmongRules = attachments({
  ...full,
  name: 'chain-foreign-rules',
  title: 'the same chain among 20,000 rules of others',
  details: true,
  mostRounds: 10,
  prepare(host) {
    const chains = Array.from({ length: 200 }, (_, at) => `SERVICE-${at}`);
    const service = (at: number) => `${(at % 253) + 1}.${(Math.floor(at / 253) % 253) + 1}`;
    const text = [
      '*nat',
      ...chains.map((name) => `:${name} - [0:0]`),
      ...Array.from({ length: 20_000 }, (_, at) => {
        const to = `-d 172.30.${service(at)}/32 -p tcp -m tcp --dport 443`;
        return `-A ${chains[at % chains.length]} ${to} -j DNAT --to-destination 172.31.${service(at)}:8443`;
      }),
      'COMMIT\n',
    ];
    host.sh('iptables-restore --noflush', text.join('\n'));
  },
});

export const chainsInParallel = [1, 8, 64].map((count) =>
  parallel({
    ...full,
    count,
    name: `parallel-${count}`,
    title: count === 1 ? 'the same chain, one attachment' : `the same chain, ${count} attachments at once`,
    ...(count === 64 && { mostRounds: 5, targets: { 'ADD rate': 4 }, limits: { 'ADD failures': 0 } }),
  }),
);
