/** A node of the test's own with networks of cluster-pool: blocks besides, and an agent of the test. */
import { join } from 'node:path';
import { FakeClusterAgent } from '@cni-ts/testing/fake-cluster-agent';
import { onTestFinished } from 'vitest';
import { TestNode } from './test-node.ts';

export class ClusterNode extends TestNode {
  /** It runs when it is started; what it has written down of blocks is in `dir`/cluster. */
  readonly agent: FakeClusterAgent;

  constructor(dir: string) {
    super(dir);
    this.agent = new FakeClusterAgent(join(dir, 'cluster'));
    onTestFinished(() => this.agent.end());
  }

  network(name: string, ipam: object = { range: '10.214.0.0/16' }, type = 'cluster-pool'): void {
    const { dataDir, agent } = this;
    const at = { dataDir, stateDir: agent.stateDir, agentSocket: agent.socket };
    const plugins = [{ type: 'bridge', ipam: { type, ...at, ...ipam } }];
    this.configure({ cniVersion: '1.0.0', name, plugins });
  }

  remember(network: string, containerId: string, netns: string, address?: string): void {
    const result = { cniVersion: '1.0.0', ips: [{ address: `${address}/16` }] };
    this.enter(network, containerId, netns, address === undefined ? {} : { result });
  }
}
