/** The networks of this node and the etcds they borrow from, as settings and questions name them. */
import type { EtcdSettings, NetworkQuestion } from '@cni-ts/cluster/agent-talk';
import { errorText } from '@cni-ts/spec/cni-error';
import { BlockQueue } from './block-queue.ts';
import { FolderKeeper } from './folder-keeper.ts';
import { asPrefix } from './keys.ts';
import type { Ledger } from './ledger.ts';
import type { Log } from './log.ts';
import { Member } from './member.ts';
import type { Metrics } from './metrics.ts';
import { Network } from './network.ts';
import { Refused } from './refusal.ts';
import type { Settings } from './settings.ts';
import type { NetworkFacts, StateFolder } from './state-folder.ts';

export interface NetworksOptions {
  readonly settings: Settings;
  readonly version: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly state: StateFolder;
  readonly boot: string;
  /** Opens an etcd; it need not answer yet. */
  readonly connect: (etcd: EtcdSettings, prefix: string) => Ledger;
}

/** A network with who waits for its blocks, and who looks after its folder. */
export interface Held {
  readonly network: Network;
  readonly queue: BlockQueue;
  readonly keeper: FolderKeeper;
}

export class Networks {
  readonly #options: NetworksOptions;
  readonly #members = new Map<string, { readonly member: Member; etcd: string }>();
  readonly #networks = new Map<string, Held>();

  /** Those of which the disk knows. */
  constructor(options: NetworksOptions) {
    this.#options = options;
    const { settings, state, log } = options;
    const facts = state.networks();
    for (const name of state.names()) {
      const known = facts[name];
      try {
        if (known) this.#hold(name, known);
        else log.warn(`of network ${name} there are blocks and nothing else: they wait for its next ADD`);
      } catch (error) {
        log.warn(errorText(error), { network: name });
      }
    }
    if (settings.etcd) this.#member(settings.etcd, settings.prefix);
  }

  get all(): Held[] {
    return [...this.#networks.values()];
  }

  get members(): Member[] {
    return Array.from(this.#members.values(), ({ member }) => member);
  }

  /** The network that is asked for, as the question has it. Throws Refused. */
  of({ network, space, folder, cooldown, prefix, etcd }: NetworkQuestion): Held {
    const facts: NetworkFacts = {
      space,
      folder,
      cooldown,
      ...(prefix !== undefined && { prefix }),
      ...(etcd && { etcd }),
    };
    const known = this.#networks.get(network);
    const before = known?.network.facts;
    if (known && JSON.stringify(before) === JSON.stringify(facts)) return known;
    if (known && before) {
      const moved = (['space', 'folder', 'prefix'] as const).find((one) => before[one] !== facts[one]);
      if (moved && known.network.pool.holds.length > 0) {
        throw new Refused(
          `network ${network} has blocks with ${moved} ${before[moved]} on this node, and now wants ${moved} ${facts[moved]}`,
          'give the network another name, or remove its containers first and wait for the cooldown',
        );
      }
      const other = !this.#options.settings.etcd && JSON.stringify(before.etcd) !== JSON.stringify(etcd);
      if (!moved && !other) {
        known.network.facts = facts;
        this.#keepFacts();
        return known;
      }
    }
    const held = this.#hold(network, facts);
    if (known) {
      known.network.retire();
      known.keeper.close();
      known.queue.refuse(new Refused('the network’s configuration has changed', 'try again'));
    }
    this.#keepFacts();
    return held;
  }

  #hold(name: string, facts: NetworkFacts): Held {
    const { settings } = this.#options;
    const etcd = settings.etcd ?? facts.etcd;
    if (!etcd) {
      throw new Refused(
        `network ${name}: neither the agent nor the network's configuration says where etcd is`,
        'start cluster-agent with --endpoints, or write etcd_host into the configuration',
      );
    }
    const member = this.#member(etcd, asPrefix(facts.prefix ?? settings.prefix));
    const network = new Network({ ...this.#options, name, facts, member });
    const keeper = new FolderKeeper(network, this.#options.log, this.#options.metrics);
    const queue = new BlockQueue(network);
    const held = { network, queue, keeper };
    network.watchers.add(() => keeper.soonIfChanged());
    this.#networks.set(name, held);
    return held;
  }

  #member(etcd: EtcdSettings, prefix: string): Member {
    const { settings, connect, state } = this.#options;
    const name = etcd === settings.etcd ? prefix : `${etcd.endpoints.join()} ${prefix}`;
    const open = () => connect(etcd, prefix);
    const known = this.#members.get(name);
    if (known) {
      // Another password or certificate.
      if (known.etcd !== JSON.stringify(etcd)) void known.member.reconnect(open);
      known.etcd = JSON.stringify(etcd);
      return known.member;
    }
    const where = etcd.endpoints.join(', ');
    const ids = { node: settings.node, uid: state.node.uid };
    const member = new Member({ ...this.#options, ...ids, name, where, open });
    member.onChange = () => {
      for (const { network, keeper } of this.all) {
        if (network.member !== member) continue;
        network.happens({ what: member.registered ? 'registered' : 'halted' });
        keeper.soon();
      }
    };
    this.#members.set(name, { member, etcd: JSON.stringify(etcd) });
    return member;
  }

  #keepFacts(): void {
    const all = [...this.#networks].map(([name, { network }]) => [name, network.facts]);
    try {
      this.#options.state.writeNetworks(Object.fromEntries(all));
    } catch (error) {
      this.#options.log.warn(`what networks said is not kept: ${errorText(error)}`);
    }
  }
}
