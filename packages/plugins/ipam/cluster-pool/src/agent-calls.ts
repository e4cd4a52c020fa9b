/** What one call of the plugin asks the node's agent, all of it within a time. */
import { formatCidr, hostCidr } from '@cni-ts/address/cidr';
import { formatIp } from '@cni-ts/address/ip';
import type { AgentStatus, BlockQuestion, WantedRange } from '@cni-ts/cluster/agent-talk';
import { askAgent, hintAgent } from '@cni-ts/cluster/ask-agent';
import { fixedOwner } from '@cni-ts/cluster/pin-owner';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Config } from './config.ts';
import type { PoolRange } from './pool-range.ts';

/** A runtime waits for longer, but its next try costs nothing. */
const longestMs = 1800;
/** A status is asked for every few seconds. */
const longestStatusMs = 1200;

export class AgentCalls {
  readonly #config: Config;
  #until: number | undefined;

  constructor(config: Config) {
    this.#config = config;
  }

  /** What of the node's blocks holds, after a boot. */
  confirm(): void {
    this.#ask({ ...this.#config.network, ask: 'confirm' });
  }

  /** A block with a free address of the range. */
  block(range: PoolRange): void {
    this.#ask(blockQuestion(this.#config, range, true));
  }

  /** This very address, wherever it lies. */
  fixed(range: PoolRange, address: string, at: Attachment): void {
    const { network, owner } = this.#config;
    this.#ask({
      ...network,
      ask: 'pin',
      ranges: [wantedRange(range)],
      owner: owner ?? fixedOwner(at),
      address,
      sticky: owner !== undefined,
    });
  }

  /** The owner's address of the range, the one that it had where it has one. */
  sticky(range: PoolRange, owner: string): void {
    this.#ask({ ...this.#config.network, ask: 'pin', ranges: [wantedRange(range)], owner, sticky: true });
  }

  status(): AgentStatus {
    const { agentSocket, network } = this.#config;
    const until = performance.now() + longestStatusMs;
    return askAgent<AgentStatus>(agentSocket, { ask: 'status', network: network.network }, until);
  }

  /** The clock runs from the first question. */
  #ask(question: Parameters<typeof askAgent>[1]): void {
    this.#until ??= performance.now() + longestMs;
    askAgent(this.#config.agentSocket, question, this.#until);
  }
}

/** Few addresses are left. */
export function hintOfLowWater(config: Config, range: PoolRange): void {
  hintAgent(config.agentSocket, blockQuestion(config, range, false));
}

function blockQuestion({ network }: Config, range: PoolRange, now: boolean): BlockQuestion {
  const { blockLength } = range;
  const ranges = [wantedRange(range)];
  return { ...network, ask: 'block', ranges, now, ...(blockLength !== undefined && { blockLength }) };
}

function wantedRange({ set, gateway, exclude }: PoolRange): WantedRange {
  const { subnet, start, end } = set[0]!; // a range of its own in each
  return {
    start: formatIp(start),
    end: formatIp(end),
    subnet: formatCidr(subnet),
    exclude: [
      ...exclude.map(({ cidr }) => formatCidr(cidr)),
      ...(gateway ? [formatCidr(hostCidr(gateway))] : []),
    ],
  };
}
