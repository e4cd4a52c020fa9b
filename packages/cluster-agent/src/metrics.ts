/** What the agent counts, in Prometheus' format. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];

/** A registry of its own: several agents of a test do not share one. */
export function makeMetrics() {
  const registers = [new Registry()];
  const [registry] = registers as [Registry]; // reason: just made
  const metric = <N extends string>(name: string, help: string, ...labelNames: N[]) => ({
    name: `cni_cluster_${name}`,
    help,
    labelNames,
    registers,
  });
  return {
    registry,
    /** Of the process: memory, event loop. */
    ofProcess: () => collectDefaultMetrics({ register: registry }),
    blocks: new Gauge(
      metric('blocks', 'Blocks of this node, by their state in its file', 'network', 'state'),
    ),
    used: new Gauge(metric('addresses_used', 'Reserved addresses of this node', 'network')),
    waiting: new Gauge(metric('questions_waiting', 'Plugins that wait for a block or an address', 'network')),
    reachable: new Gauge(metric('etcd_reachable', '1 while etcd answers', 'etcd')),
    trouble: new Gauge(
      metric('trouble', '1 while something keeps the agent from claiming and giving back', 'etcd'),
    ),
    claims: new Counter(
      metric('claims_total', 'Claims of blocks and addresses, by outcome', 'network', 'outcome'),
    ),
    returns: new Counter(
      metric('returns_total', 'Blocks and addresses that were given back', 'network', 'outcome'),
    ),
    lost: new Counter(metric('lost_total', 'Blocks that etcd had no more as this node’s', 'network')),
    questions: new Counter(
      metric('questions_total', 'Questions of plugins and tools, by answer', 'ask', 'answer'),
    ),
    questionTime: new Histogram({
      ...metric('question_seconds', 'From question to answer', 'ask'),
      buckets: seconds,
    }),
    requestTime: new Histogram({
      ...metric('etcd_request_seconds', 'From request to answer of etcd', 'request', 'outcome'),
      buckets: seconds,
    }),
  };
}
export type Metrics = ReturnType<typeof makeMetrics>;
