/** What containerd or CRI-O itself says of its pods, asked by crictl. */
import { mayAccess } from '@cni-ts/libc/file-status';
import { namespaceLives } from '@cni-ts/libc/netns';
import { type Ended, runToEnd } from '@cni-ts/libc/program';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import type { Environment } from '@cni-ts/libcni/environment';
import { isJsonObject, parseJson } from '@cni-ts/libcni/json';
import { errorText } from '@cni-ts/spec/cni-error';
import { type Judge, youngNs } from '../ipam/standing.ts';
import { CannotLookError, UsageError } from '../verb.ts';

/** Where they listen, unless CONTAINER_RUNTIME_ENDPOINT says otherwise. */
const endpoints: Readonly<Record<string, string>> = {
  containerd: 'unix:///run/containerd/containerd.sock',
  crio: 'unix:///var/run/crio/crio.sock',
};

/**
 * Judges pods by the runtime's own list. Both runtimes give K8S_POD_INFRA_CONTAINER_ID with every pod: attachments without
 * it are of somebody else on the same node (nerdctl, podman, cnitool), and this says nothing of them.
 *
 * A pod that is being made is not listed yet, so one that is not listed counts as ended only when it is not young.
 * Throws a CannotLookError where the runtime cannot be asked, or does not answer as it should.
 */
export function podJudge(runtime: string, env: Environment): Judge {
  const endpoint = endpoints[runtime];
  if (endpoint === undefined) {
    throw new UsageError(`--runtime ${runtime}: write one of ${Object.keys(endpoints).join(', ')}`);
  }
  const pods = podsOf(runtime, endpoint, env);
  const now = BigInt(Date.now()) * 1_000_000n;
  return (attachment, since) => {
    if (!isPod(attachment)) return undefined;
    const state = pods.get(attachment.containerId);
    const { netns = '' } = attachment;
    if (state === 'SANDBOX_READY') return { why: `its pod is ready, as ${runtime} says` };
    if (state !== undefined) {
      if (netns === '' || namespaceLives(netns)) return { why: `${runtime} has its pod, which is not ready` };
      return { stale: 'runtime', why: `${runtime} has its pod as ended, and its namespace ${netns} is gone` };
    }
    if (since === undefined || now - since < youngNs) {
      return { why: `${runtime} does not list its pod, which is younger than ten minutes` };
    }
    return { stale: 'runtime', why: `${runtime} knows no such pod` };
  };
}

function isPod({ args = [] }: CachedAttachment): boolean {
  return args.some(([key]) => key === 'K8S_POD_INFRA_CONTAINER_ID');
}

/** States by ID. */
function podsOf(runtime: string, endpoint: string, env: Environment): Map<string, string> {
  const given = env.CONTAINER_RUNTIME_ENDPOINT ? [] : ['--runtime-endpoint', endpoint];
  const args = [...given, '--timeout', '10s', 'pods', '-o', 'json'];
  const cannot = (why: string) =>
    new CannotLookError(`${runtime} could not be asked which pods it has, nothing was removed: ${why}`);
  const file = programIn(env.PATH, 'crictl');
  if (file === undefined) throw cannot('there is no crictl in PATH');
  let ended: Ended;
  try {
    ended = runToEnd(file, args, env, '');
  } catch (error) {
    throw cannot(`${file}: ${errorText(error)}`);
  }
  if (ended.status !== 0) {
    const how = ended.signal ?? `exit status ${ended.status}`;
    throw cannot(`crictl ${args.join(' ')}: ${ended.stderr.trim() || how}`);
  }
  const pods = readPods(ended.stdout);
  if (!pods) throw cannot('crictl printed no list of pods');
  return pods;
}

/** Undefined for what is no such list: a pod that could not be read must not count as gone. */
function readPods(text: string): Map<string, string> | undefined {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return undefined; // said by the caller
  }
  if (!isJsonObject(json) || !Array.isArray(json.items)) return undefined;
  const pods = new Map<string, string>();
  for (const one of json.items) {
    if (!isJsonObject(one) || typeof one.id !== 'string' || typeof one.state !== 'string') return undefined;
    pods.set(one.id, one.state);
  }
  return pods;
}

function programIn(
  path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  name: string,
): string | undefined {
  return path
    .split(':')
    .filter((folder) => folder !== '')
    .map((folder) => `${folder}/${name}`)
    .find((file) => mayAccess(file, { execute: true }));
}
