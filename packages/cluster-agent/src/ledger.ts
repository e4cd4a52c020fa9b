/** What the agent knows of etcd: the interface that its decisions stand on. etcd-ledger.ts has it on etcd. */
import type { Ip } from '@cni-ts/address/ip';
import type { Block } from '@cni-ts/cluster/block';

/** What etcd knows, as the agent asks it. Everything rejects with an EtcdError that says whether the outcome is unknown. */
export interface Ledger {
  /** Cluster id, and the revision of the answer: how a restored etcd is noticed. The revision is '0' where another answer has
   *  shown that it went back. From then on all else rejects (EtcdTrouble `restored`; a claim in such a copy is none) until
   *  `registerNode` is called, which is to take etcd as it is. */
  place(): Promise<Place>;
  /** The limits of the space's grid; the first agent writes them. */
  grid(space: string, wanted: Grid): Promise<Grid>;
  /** One transaction (the compares of BRIEF15). 'taken' tells that something is in the way. Unknown outcomes reject with `unknown: true`. */
  claim(block: NewBlock): Promise<{ revision: string } | 'taken'>;
  /** The block's key as it is: a hint, but for a `claim` that equals the try's own. */
  look(space: string, block: Block): Promise<Entry | undefined>;
  /** Only if its create revision is still this one. False: it was not. */
  giveBack(space: string, block: Block, revision: string): Promise<boolean>;
  /** Writes the entry again as it is, only if its key is unchanged since `entry.modified`, so that whoever means to delete
   *  what was there before does not. How a node takes up after a boot what it had: a read alone would prove nothing. The
   *  revision is the one to give it back by. */
  confirm(entry: Entry): Promise<{ revision: string } | 'changed'>;
  pin(pin: NewPin): Promise<{ revision: string } | { takenBy: string }>;
  /** A sticky pin stays, held by nobody; a fixed one goes. Only if unchanged: its last change has this revision (what `pin`
   *  or `confirm` answered). Who takes a sticky pin over does not create its key anew. */
  unpin(space: string, address: Ip, revision: string, keep: boolean): Promise<boolean>;
  /** Blocks and pins, of a space or all; a hint. */
  entries(filter: { space?: string; within?: Block }): Promise<Entry[]>;
  /** Absent or same uid: taken. Else who has the name. */
  registerNode(node: NodeRecord, takeOver: boolean): Promise<'ok' | { uid: string; since: string }>;
  keepAlive(node: string): Promise<void>;
  nodes(): Promise<NodeState[]>;
  askToFence(node: string): Promise<void>;
  fenceAsked(node: string): Promise<boolean>;
  fenceDone(node: string): Promise<void>;
  /** Deletes all that the node holds, each if unchanged, and its node key; refuses ('alive') while the node is. */
  fenceOff(node: string): Promise<Entry[] | 'alive' | 'unknown node'>;
  /** Connections end; what etcd knows stays. */
  close(): Promise<void>;
}
export interface Place {
  readonly clusterId: string;
  readonly revision: string;
}
export interface Grid {
  readonly largest: { readonly 4: number; readonly 6: number };
  readonly created: string;
}
export interface NewBlock extends Block {
  readonly space: string;
  readonly network: string;
  readonly node: string;
  readonly uid: string;
  readonly claim: string;
  readonly largest: number;
}
export interface NewPin {
  readonly space: string;
  readonly network: string;
  readonly address: Ip;
  readonly node: string;
  readonly uid: string;
  readonly claim: string;
  readonly owner: string;
  readonly sticky: boolean;
  readonly largest: number;
}
export interface Entry extends Block {
  readonly space: string;
  readonly network: string;
  readonly node: string;
  readonly uid: string;
  readonly claim: string;
  readonly time: string;
  /** What it is given back by: a block's of its creation, a pin's of its last change. */
  readonly revision: string;
  readonly modified: string;
  readonly owner?: string;
  readonly sticky?: boolean;
}
export interface NodeRecord {
  readonly node: string;
  readonly uid: string;
  readonly version: string;
}
export interface NodeState {
  readonly node: string;
  readonly uid: string;
  readonly since: string;
  readonly version: string;
  readonly alive: boolean;
  readonly fencing: boolean;
}
