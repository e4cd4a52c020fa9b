/** Probe of the addresses that this node shares with a cluster: its agent, etcd behind it, and the blocks on its disk. */
import type { AgentStatus } from '@cni-ts/cluster/agent-talk';
import { askAgent, isRefusal, refusalText, shortPatience } from '../cluster/agent.ts';
import { poolProblems } from '../cluster/pool-problems.ts';
import { many } from '../many.ts';
import type { Found, Probe } from './probe.ts';

export const cluster: Probe = {
  name: 'cluster',
  run(exam) {
    const views = exam
      .addresses()
      .seen.networks.flatMap(({ network, stores }) => stores.map((view) => ({ network: network.name, view })))
      .filter(({ view }) => view.store.pool !== undefined);
    const sockets = new Map<string, string[]>();
    for (const { network, view } of views) {
      const { socket } = view.store.pool ?? {};
      if (socket !== undefined) sockets.set(socket, [...(sockets.get(socket) ?? []), network]);
    }
    const found = [
      ...[...sockets].flatMap(([socket, networks]) => agentProblems(socket, networks)),
      ...views.flatMap(({ network, view }) =>
        poolProblems(view).map(({ code, message, cure, address }): Found => {
          const at = address === undefined ? '' : `${address}: `;
          return { code, message: `${network}: ${at}${message}`, cure };
        }),
      ),
    ];
    const fine = `${many(views.length, 'network')}, agent at ${[...sockets.keys()].join(', ')}`;
    return { found, fine: views.length === 0 ? undefined : fine };
  },
};

function agentProblems(socket: string, networks: readonly string[]): Found[] {
  const answer = askAgent<AgentStatus>(socket, { ask: 'status' }, shortPatience);
  if (isRefusal(answer)) {
    return [
      {
        code: 'CNI2040',
        message: `${refusalText(answer)} (networks ${networks.join(', ')})`,
        cure: 'systemctl start cluster-agent; its log: journalctl -u cluster-agent',
      },
    ];
  }
  const { etcd, trouble } = answer;
  const found: Found[] = trouble.map((message) => ({ code: 'CNI2045', message, cure: 'see its page' }));
  if (!etcd.reachable) {
    const why = etcd.error === undefined ? '' : `: ${etcd.error}`;
    found.unshift({
      code: 'CNI2041',
      message: `cluster-agent does not reach etcd since ${etcd.since}${why}`,
      cure: 'etcdctl endpoint status, from this node and with the settings of the agent',
    });
  }
  return found;
}
