/** A small cluster for end-to-end tests, on a network of the test's own: members of etcd, nodes with agents, and runtimes that
 *  call the plugin. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { launcherProgram } from '@cni-ts/cluster-rig/launcher';
import { Members } from '@cni-ts/cluster-rig/members';
import { type RigNetwork, tight } from '@cni-ts/cluster-rig/networks';
import { RigNode } from '@cni-ts/cluster-rig/node';
import { Recorder } from '@cni-ts/cluster-rig/recorder';
import { Runtime } from '@cni-ts/cluster-rig/runtime';
import { layBridge } from '@cni-ts/cluster-rig/stage';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { Lab, ours } from './lab.ts';

export interface ClusterOptions {
  readonly members?: number;
  readonly nodes?: number;
  readonly lanes?: number;
  /** Folder of the executables. */
  readonly bin?: string;
  readonly networks?: readonly RigNetwork[];
}

export class ClusterLab {
  readonly lab: Lab;
  readonly members: Members;
  readonly runtimes: readonly Runtime[];
  readonly network: RigNetwork;

  private constructor(lab: Lab, members: Members, runtimes: readonly Runtime[], network: RigNetwork) {
    this.lab = lab;
    this.members = members;
    this.runtimes = runtimes;
    this.network = network;
  }

  /** Agents are not started. */
  static async open({
    members: count = 1,
    nodes = 1,
    lanes = 1,
    bin = ours,
    networks = [tight(5, 1)],
  }: ClusterOptions = {}): Promise<ClusterLab> {
    const lab = new Lab();
    layBridge();
    const members = await Members.open(etcdProgram() ?? '', join(lab.dir, 'etcd'), count);
    const folder = join(lab.dir, 'nodes');
    mkdirSync(folder);
    const setup = {
      ...{ folder, launcher: launcherProgram(), bin, lanes, networks },
      ...{ endpoints: members.endpoints, agentOptions: ['--period', '1', '--compare', '2'] },
    };
    const recorder = new Recorder(join(lab.dir, 'history.jsonl'));
    const runtimes: Runtime[] = [];
    for (let i = 1; i <= nodes; i++) {
      runtimes.push(new Runtime(await RigNode.open(`n${i}`, `10.90.1.${i}`, setup), recorder));
    }
    const [network] = networks;
    if (!network) throw new Error('a cluster without networks');
    return new ClusterLab(lab, members, runtimes, network);
  }

  /** Of its first node. */
  get first(): Runtime {
    const [runtime] = this.runtimes;
    if (!runtime) throw new Error('a cluster without nodes');
    return runtime;
  }

  async startAgents(): Promise<void> {
    for (const { node } of this.runtimes) node.startAgent();
    for (const { node } of this.runtimes) await node.waitUntilWell(20);
  }

  async close(): Promise<void> {
    for (const { node } of this.runtimes) await node.close();
    await this.members.close();
    this.lab.close();
  }
}
