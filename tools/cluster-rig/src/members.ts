/** Three members of etcd on the rig's network, and what can befall them. */
import type { ChildProcess } from 'node:child_process';
import { cpSync, createWriteStream, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { memberFlags } from '@cni-ts/testing/etcd-program';
import { Gateway, postTo } from './gateway.ts';
import { killed, now, Place, sleep } from './stage.ts';

export interface Member {
  readonly place: Place;
  readonly endpoint: string;
  readonly folder: string;
  process: ChildProcess | undefined;
}

/** What one member says of the cluster. */
interface Status {
  readonly leader: string;
  readonly own: string;
}

export class Members {
  readonly all: readonly Member[];
  readonly gateway: Gateway;
  readonly #program: string;
  readonly #folder: string;

  private constructor(program: string, folder: string, all: readonly Member[]) {
    this.#program = program;
    this.#folder = folder;
    this.all = all;
    this.gateway = new Gateway(all.map(({ endpoint }) => endpoint));
  }

  static async open(program: string, folder: string, count = 3): Promise<Members> {
    const all: Member[] = [];
    for (let i = 1; i <= count; i++) {
      const place = await Place.open(`m${i}`, `10.90.0.${i}`, '');
      const own = join(folder, `m${i}`);
      all.push({ place, endpoint: `http://${place.address}:2379`, folder: own, process: undefined });
    }
    const members = new Members(program, folder, all);
    await members.startAll();
    return members;
  }

  get addresses(): string[] {
    return this.all.map(({ place }) => place.address);
  }

  get endpoints(): string[] {
    return this.all.map(({ endpoint }) => endpoint);
  }

  start(member: Member): void {
    const { place, endpoint, folder } = member;
    const peer = (one: Place) => `http://${one.address}:2380`;
    mkdirSync(this.#folder, { recursive: true });
    const log = createWriteStream(`${folder}.log`, { flags: 'a' });
    member.process = place.start(
      this.#program,
      [
        ...memberFlags(place.name, folder, endpoint, peer(place)),
        ...['--log-level', 'warn'],
        ...['--initial-cluster', this.all.map(({ place: one }) => `${one.name}=${peer(one)}`).join(',')],
        ...['--initial-cluster-state', 'new', '--initial-cluster-token', 'rig'],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    member.process.stdout?.pipe(log, { end: false });
    member.process.stderr?.pipe(log, { end: false });
  }

  async kill(member: Member): Promise<void> {
    await killed(member.process);
    member.process = undefined;
  }

  async killAll(): Promise<void> {
    await Promise.all(this.all.map((member) => this.kill(member)));
  }

  /** Until a leader takes writes. */
  async startAll(): Promise<void> {
    for (const member of this.all) this.start(member);
    await this.ready();
  }

  /** Until a leader takes writes; throws after `seconds`. */
  async ready(seconds = 30): Promise<void> {
    const end = now() + seconds;
    for (;;) {
      try {
        await this.gateway.put('/rig/ready', '1');
        return;
      } catch (error) {
        if (now() > end) throw error;
        await sleep(0.2);
      }
    }
  }

  /** undefined from a member that does not answer. */
  async status(member: Member): Promise<Status | undefined> {
    try {
      const answer = await postTo(member.endpoint, '/v3/maintenance/status', {}, 2);
      const { header, leader } = answer as { header: { member_id: string }; leader: string }; // reason: as etcd's interface says
      return { leader, own: header.member_id };
    } catch {
      return undefined; // reason: that it does not answer is the answer
    }
  }

  /** Hands the lead to another member; false where there is no leader to ask. */
  async changeLeader(): Promise<boolean> {
    const all = await Promise.all(
      this.all.map(async (member) => ({ member, status: await this.status(member) })),
    );
    const leader = all.find(({ status }) => status && status.own === status.leader);
    const next = all.find(({ status }) => status && status.own !== status.leader);
    if (!leader || !next?.status) return false;
    await postTo(leader.member.endpoint, '/v3/maintenance/transfer-leadership', {
      targetID: next.status.own,
    });
    return true;
  }

  /** Forgets the history up to now, and gives its room back to the disk. */
  async compact(): Promise<void> {
    // So that there is something new to forget.
    const revision = await this.gateway.put('/rig/compacted', String(Date.now()));
    await this.gateway.post('/v3/kv/compaction', { revision, physical: true });
    for (const { endpoint } of this.all) await postTo(endpoint, '/v3/maintenance/defragment', {}, 20);
  }

  /** All members stopped, a copy of their disks made, all started again. */
  async backUp(): Promise<void> {
    await this.killAll();
    for (const { folder } of this.all) {
      rmSync(`${folder}.backup`, { recursive: true, force: true });
      cpSync(folder, `${folder}.backup`, { recursive: true });
    }
    await this.startAll();
  }

  get hasBackup(): boolean {
    return this.all.every(({ folder }) => existsSync(`${folder}.backup`));
  }

  /** All members go on from the copy. */
  async restore(): Promise<void> {
    await this.killAll();
    for (const { folder } of this.all) {
      rmSync(folder, { recursive: true });
      cpSync(`${folder}.backup`, folder, { recursive: true });
    }
    await this.startAll();
  }

  /** How many transactions and other requests the members have served since they were started. */
  async served(): Promise<{ transactions: number; requests: number }> {
    let [transactions, requests] = [0, 0];
    for (const { endpoint } of this.all) {
      const page = await (await fetch(`${endpoint}/metrics`, { signal: AbortSignal.timeout(5000) })).text();
      for (const [, code, method, count] of page.matchAll(
        /^grpc_server_handled_total\{grpc_code="(\w+)",grpc_method="(\w+)",grpc_service="etcdserverpb[^}]*\} (\S+)$/gm,
      )) {
        if (code !== 'OK') continue;
        requests += Number(count);
        if (method === 'Txn') transactions += Number(count);
      }
    }
    return { transactions, requests };
  }

  async close(): Promise<void> {
    await this.killAll();
    for (const { place } of this.all) place.close();
  }
}
