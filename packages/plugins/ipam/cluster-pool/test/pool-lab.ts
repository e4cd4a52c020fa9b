/** For tests: a network of cluster-pool in a temporary folder, with an agent of the test. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, type Command, call } from '@cni-ts/testing/call';
import { type FakeBehaviour, FakeClusterAgent } from '@cni-ts/testing/fake-cluster-agent';
import { onTestFinished } from 'vitest';
import { clusterPool } from '../src/cluster-pool.ts';

export interface Given {
  readonly id?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** Members of `ipam` that are others for this call. */
  readonly ipam?: object;
  /** And of the configuration. */
  readonly more?: object;
  readonly prevResult?: object | undefined;
}

export class PoolLab {
  readonly agent = new FakeClusterAgent();
  readonly dataDir = join(this.agent.folder, 'networks');
  readonly folder = join(this.dataDir, 'net');
  ipam: object;

  constructor(ipam: object) {
    this.ipam = ipam;
    onTestFinished(() => this.agent.end());
  }

  async start(behaviour: FakeBehaviour = {}): Promise<this> {
    await this.agent.start(behaviour);
    return this;
  }

  config({ ipam, more }: Pick<Given, 'ipam' | 'more'> = {}): object {
    const own = {
      type: 'cluster-pool',
      dataDir: this.dataDir,
      stateDir: this.agent.stateDir,
      agentSocket: this.agent.socket,
    };
    return {
      cniVersion: '1.1.0',
      name: 'net',
      type: 'macvlan',
      ipam: { ...own, ...this.ipam, ...ipam },
      ...more,
    };
  }

  call(
    command: Command,
    { id = 'c1', ifname = 'eth0', args = '', prevResult, ...others }: Given = {},
  ): Promise<Answer> {
    return call(clusterPool, command, {
      config: this.config(others),
      containerId: id,
      ifname,
      args,
      netns: '/nowhere',
      prevResult,
    });
  }

  /** The addresses that ADD gives, or the error's sentence. */
  async add(id: string, given: Given = {}): Promise<string> {
    const { result, error } = await this.call('ADD', { ...given, id });
    return result ? (result.ips ?? []).map(({ address }) => address).join(' ') : (error?.msg ?? '');
  }

  async del(id: string, given: Given = {}): Promise<void> {
    const { status, stdout } = await this.call('DEL', { ...given, id });
    if (status !== 0) throw new Error(stdout);
  }

  /** Addresses that have a file, sorted. */
  get reserved(): string[] {
    if (!existsSync(this.folder)) return [];
    return readdirSync(this.folder)
      .filter((name) => /^[0-9a-f]+[.:]/.test(name))
      .sort();
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }

  write(name: string, text: string): void {
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  remove(name: string): void {
    rmSync(join(this.folder, name));
  }

  /** What it was asked, by the kinds of questions. */
  get asked(): string[] {
    return this.agent.questions.map((one) => (one.ask === 'block' && !one.now ? 'hint' : one.ask));
  }
}
