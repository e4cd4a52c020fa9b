/** What plugin, tool and agent of a node say to each other: one JSON object a line over the agent's unix socket, a question
 *  and its answer. */
import { CniError } from '@cni-ts/spec/cni-error';

export const defaultAgentSocket = '/run/cni-ts/cluster.sock';

/** Addresses of which blocks are wanted, as texts. */
export interface WantedRange {
  /** Both included. */
  readonly start: string;
  readonly end: string;
  /** Of the whole subnet (`10.0.0.0/16`): blocks are parts of it. */
  readonly subnet: string;
  /** CIDRs of which no address is given. A block that lies in one whole is not claimed. */
  readonly exclude: readonly string[];
}

/** How etcd is reached, where the agent's own settings do not say: whereabouts' members of a network's configuration. */
export interface EtcdSettings {
  readonly endpoints: readonly string[];
  readonly username?: string;
  readonly password?: string;
  readonly keyFile?: string;
  readonly certFile?: string;
  readonly caFile?: string;
}

/** What all questions about a network's addresses have. */
export interface NetworkQuestion {
  readonly network: string;
  readonly space: string;
  /** The folder of the network's reservations: the agent looks into it before it gives a block back. */
  readonly folder: string;
  /** Keys' prefix, where the configuration names one. */
  readonly prefix?: string;
  readonly etcd?: EtcdSettings;
  /** Seconds for which a freed address rests. */
  readonly cooldown: number;
}

/** A block with a free address is needed now, of any of the ranges. The answer comes when it is in the file of blocks. */
export interface BlockQuestion extends NetworkQuestion {
  readonly ask: 'block';
  readonly ranges: readonly WantedRange[];
  /** Bits of the address' family; from the number of nodes where it is absent. */
  readonly blockLength?: number;
  /** What is wanted: true for a block now; false is a hint that few addresses are left, and is not answered. */
  readonly now: boolean;
}

/** One address for one owner: fixed (`address`) or sticky (any of the ranges, the one that it had where it has one). */
export interface PinQuestion extends NetworkQuestion {
  readonly ask: 'pin';
  readonly ranges: readonly WantedRange[];
  readonly owner: string;
  readonly address?: string;
  /** It stays the owner's when it is freed, and follows it to other nodes. */
  readonly sticky: boolean;
}

/** After a boot, or where the file is missing: what of it holds? The answer comes when the file says so. */
export interface ConfirmQuestion extends NetworkQuestion {
  readonly ask: 'confirm';
}

export interface StatusQuestion {
  readonly ask: 'status';
  readonly network?: string;
}

/** Questions of the operator's tool, about the whole cluster. */
export type ClusterQuestion =
  | { readonly ask: 'spaces'; readonly space?: string; readonly network?: string }
  | {
      readonly ask: 'fence';
      readonly node: string /** A person's word that it is off. */;
      readonly off: boolean;
    }
  | ImportQuestion;

/** Addresses of containers that live on the agent's node, given by another plugin: each becomes a pin of this node, for this
 *  network. The tool has reserved them in the network's folder before it asks, so DEL and GC give them back like any other. */
export interface ImportQuestion extends NetworkQuestion {
  readonly ask: 'import';
  readonly reservations: readonly ImportedAddress[];
  /** False: only what would be taken over is told, and nothing is reserved yet. */
  readonly yes: boolean;
}

/** An address that another plugin has given. */
export interface ImportedAddress {
  readonly address: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly podRef: string;
}

export type Question = BlockQuestion | PinQuestion | ConfirmQuestion | StatusQuestion | ClusterQuestion;

/** The agent's sentence for an operator, with the code and details a plugin hands on. */
export interface Refusal {
  readonly error: { readonly code: number; readonly message: string; readonly details?: string };
}

/** Of status. */
export interface AgentStatus {
  readonly ok: true;
  readonly node: string;
  readonly version: string;
  readonly etcd: { readonly reachable: boolean; readonly since: string; readonly error?: string };
  /** Sentences: what keeps it from claiming (two nodes of one name, a restored etcd that nobody has confirmed). */
  readonly trouble: readonly string[];
}

/** Of spaces. */
export interface SpacesAnswer {
  readonly ok: true;
  readonly spaces: readonly {
    readonly space: string;
    readonly blocks: readonly {
      /** `10.22.0.64/26`, a pin as well. */
      readonly block: string;
      readonly node: string;
      readonly network: string;
      readonly since: string;
      readonly owner?: string;
    }[];
  }[];
  readonly nodes: readonly {
    readonly node: string;
    readonly alive: boolean;
    readonly since: string;
    readonly version: string;
    readonly fencing: boolean;
  }[];
}

/** Of fence: what was given back, and what is still in use. */
export interface FenceAnswer {
  readonly ok: true;
  readonly returned: readonly string[];
  readonly waiting: readonly string[];
}

/** Of import: what was (or without `yes` would be) taken over, and what cannot be. */
export interface ImportAnswer {
  readonly ok: true;
  readonly taken: readonly string[];
  readonly refused: readonly { readonly address: string; readonly why: string }[];
}

export type Answer<A extends { readonly ok: true } = { readonly ok: true }> = A | Refusal;

/** The agent's refusal as the error that the asking program ends with. */
export function refusalError({ error }: Refusal): CniError {
  return new CniError(error.code, error.message, error.details);
}
