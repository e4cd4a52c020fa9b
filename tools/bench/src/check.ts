/** What must be there after ADD and gone after DEL, seen through iproute2 and nft. */
import { type Attachment, ifname } from './attachment.ts';

/** What a plugin said it did is not what is there. */
export class WrongResult extends Error {}

/** Looks at one attachment. `traces` are what it finds: something after ADD, nothing after DEL. */
export interface Check {
  readonly what: string;
  traces(attachment: Attachment, address: string, see: See): string[];
}

/** Output of a command on the host; the same command is run once for all attachments that are looked at together. */
export type See = (command: string) => string;

function seeing(attachments: readonly Attachment[]): See {
  const seen = new Map<string, string>();
  return (command) => {
    const known = seen.get(command);
    if (known !== undefined) return known;
    const output = attachments[0]?.host.sh(command) ?? '';
    seen.set(command, output);
    return output;
  };
}

const netnsName = (attachment: Attachment) => attachment.netns.replace(/.*\//, '');

export const addressInContainer: Check = {
  what: "its address on the container's interface",
  traces: (attachment, address) =>
    lines(attachment.host.sh(`ip -n ${netnsName(attachment)} -o address`)).filter(
      (line) => line.includes(` ${ifname} `) && line.includes(` ${address}/`),
    ),
};

export const linkInContainer: Check = {
  what: "the container's interface",
  traces: (attachment) =>
    lines(attachment.host.sh(`ip -n ${netnsName(attachment)} -o link`)).filter((line) =>
      line.includes(` ${ifname}`),
    ),
};

export const reservation: Check = {
  what: "host-local's reservation",
  traces: ({ host, network }, address) => host.reservations(network.name).filter((name) => name === address),
};

/** The ports of a bridge: as many as there are attachments, which is one. */
export function bridgePort(bridge: string): Check {
  return {
    what: `a port of ${bridge}`,
    traces: (_attachment, _address, see) => lines(see(`ip -o link show master ${bridge}`)),
  };
}

/** Rules of either kind that name the address. */
export const rules: Check = {
  what: 'rules for its address',
  traces: (_attachment, address, see) =>
    lines(see('nft list ruleset; iptables-legacy-save 2>&- || true')).filter((line) =>
      line.split(/[^\d.]+/).includes(address),
    ),
};

export function setting(name: string, value: string): Check {
  return {
    what: `the setting ${name}`,
    traces: (attachment) => {
      const file = `/proc/sys/${name.replaceAll('.', '/')}`;
      const read = `ip netns exec ${netnsName(attachment)} cat ${file} 2>&- || true`;
      return lines(attachment.host.sh(read)).filter((found) => found === value);
    },
  };
}

/** Token buckets on the host. */
export const shaping: Check = {
  what: 'a token bucket',
  traces: (_attachment, _address, see) =>
    lines(see('tc qdisc show')).filter((line) => line.startsWith('qdisc tbf')),
};

/** Throws when a check finds nothing. All are of one host. */
export function mustBeThere(attachments: readonly Attachment[], checks: readonly Check[]): void {
  const see = seeing(attachments);
  for (const attachment of attachments) {
    for (const { what, traces } of checks) {
      if (traces(attachment, attachment.address, see).length > 0) continue;
      throw new WrongResult(`after ADD by ${attachment.host.side.name}: ${what} is missing`);
    }
  }
}

/** Throws when a check still finds something. */
export function mustBeGone(attachments: readonly Attachment[], checks: readonly Check[]): void {
  const see = seeing(attachments);
  for (const attachment of attachments) {
    for (const { what, traces } of checks) {
      const found = traces(attachment, attachment.address, see);
      if (found.length === 0) continue;
      throw new WrongResult(
        `after DEL by ${attachment.host.side.name}: ${what} is still there: ${found.join('\n')}`,
      );
    }
  }
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}
