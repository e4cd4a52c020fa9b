/** What a network's configuration says to dhcp. The daemon reads it; the plugin sends it there as it is. */
import {
  clientIdOf,
  type Provide,
  parseDhcpArgs,
  providedOptions4,
  type Request,
  requestedOptions4,
} from '@cni-ts/dhcp-protocol/configured-options4';
import { ipamRoute, readIpamRoute } from '@cni-ts/ipam-kit/ipam-route';
import { networkConfig, readConfigOf } from '@cni-ts/skeleton/config';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Route } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

export function schema() {
  const text = () => z.optional(z.string());
  const yes = () => z.optional(z.boolean());
  return z.object({
    name: text(),
    /** The host's end, where the plugin that calls us has one: named in errors, and used for what a dead container can
     *  no longer send. */
    bridge: text(),
    master: text(),
    prevResult: networkConfig.prevResult,
    ipam: z.optional(
      z.object({
        type: text(),
        daemonSocketPath: text(),
        provide: z.optional(z.array(z.object({ option: text(), value: text(), fromArg: text() }))),
        request: z.optional(z.array(z.object({ option: text(), skipDefault: yes() }))),
        priority: z.optional(z.int().check(z.minimum(0), z.maximum(0xffffffff))),
        routes: z.optional(z.array(ipamRoute())),
        use: z.optional(z.array(z.string())),
        clientId: text(),
        broadcast: yes(),
        probe: yes(),
        ipv4: yes(),
        ipv6: yes(),
      }),
    ),
  });
}
export type Shape = z.output<ReturnType<typeof schema>>;

/** What a lease may give to the result beside address and routes, and the options that are asked for then. */
const uses = { dns: [6, 15, 119], mtu: [26], ntp: [42] } as const;
export type Use = keyof typeof uses;

/** How the client names itself: by container, by pod, or by hardware address. */
const clientIds = ['container', 'pod', 'mac'] as const;
export type ClientIdKind = (typeof clientIds)[number];

export interface Settings {
  readonly network: string;
  /** The link of the host that the container's hangs from; '' where none is named. */
  readonly hostLink: string;
  readonly bridge: string;
  readonly request: readonly number[];
  readonly provide: ReadonlyMap<number, Uint8Array>;
  readonly priority: number;
  readonly routes: readonly Route[];
  readonly use: ReadonlySet<Use>;
  readonly clientId: ClientIdKind;
  readonly broadcast: boolean;
  /** Whether others are asked for an IPv4 address before it is used. */
  readonly probe: boolean;
  /** Which families there are to be addresses of. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly args: ReadonlyMap<string, string>;
}

/** Reads the configuration, `args` being CNI_ARGS. Throws what an operator should read. */
export function readSettings(json: unknown, args: string): Settings {
  return settingsOf(readConfigOf('dhcp', schema, json), args);
}

export function settingsOf(raw: Shape, cniArgs: string): Settings {
  const { ipam, name = '', bridge = '', master = '' } = raw;
  if (!ipam) throw new CniError(ErrorCode.invalidConfig, "IPAM config missing 'ipam' key");
  if (ipam.ipv4 === false && !ipam.ipv6) {
    throw new CniError(
      ErrorCode.invalidConfig,
      'failed to load netconf: ipam.ipv4 is false, and ipam.ipv6 is not true: nothing is left to ask for',
    );
  }
  const use = new Set((ipam.use ?? []).map(readUse));
  const args = parseDhcpArgs(cniArgs);
  const more = [...use].flatMap((one) => [...uses[one]]);
  return {
    network: name,
    hostLink: bridge || master,
    bridge,
    // reason: what is absent there is absent here, and not undefined
    request: requestedOptions4((ipam.request ?? []) as Request[], more),
    provide: providedOptions4(
      (ipam.provide ?? []).map((one) => ({ ...one, option: one.option ?? '' }) as Provide), // reason: the same
      args,
    ),
    priority: ipam.priority ?? 0,
    routes: (ipam.routes ?? []).map((route, i) => readIpamRoute(route, `ipam.routes[${i}]`)),
    use,
    clientId: readClientId(ipam.clientId ?? 'container'),
    broadcast: ipam.broadcast ?? false,
    probe: ipam.probe ?? false,
    ipv4: ipam.ipv4 ?? true,
    ipv6: ipam.ipv6 ?? false,
    args,
  };
}

function readUse(name: string, at: number): Use {
  if (Object.hasOwn(uses, name)) return name as Use; // reason: it is one of its keys
  throw notKnown(`ipam.use[${at}]`, name, Object.keys(uses));
}

function readClientId(name: string): ClientIdKind {
  const found = clientIds.find((one) => one === name);
  if (found) return found;
  throw notKnown('ipam.clientId', name, clientIds);
}

function notKnown(field: string, found: string, known: readonly string[]): CniError {
  const words = known.map((one) => JSON.stringify(one)).join(', ');
  return new CniError(
    ErrorCode.invalidConfig,
    `failed to load netconf: ${field}: expected one of ${words}, got ${JSON.stringify(found)}`,
  );
}

/**
 * Option 61, in hex. By container it is what the reference sends; by pod a new container of the same pod is the same
 * client, and so is by MAC whoever has the same hardware address. Throws CniError when CNI_ARGS name no pod.
 */
export function clientIdHex(
  { clientId, network, args }: Settings,
  container: { readonly containerId: string; readonly ifname: string },
  mac: Uint8Array,
): string {
  if (clientId === 'mac') return hexOf(new Uint8Array([1, ...mac]));
  if (clientId === 'container') return hexOf(clientIdOf(container.containerId, network, container.ifname));
  const pod = podOf({ clientId, args });
  return hexOf(clientIdOf(pod, network, container.ifname));
}

/** The pod by which the client is known; '' where it is known by something else. Throws CniError when CNI_ARGS name none. */
export function podOf({ clientId, args }: Pick<Settings, 'clientId' | 'args'>): string {
  if (clientId !== 'pod') return '';
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE'), args.get('K8S_POD_NAME')];
  if (namespace && name) return `${namespace}/${name}`;
  throw new CniError(
    ErrorCode.invalidConfig,
    'ipam.clientId is "pod", and CNI_ARGS do not name the pod: K8S_POD_NAMESPACE or K8S_POD_NAME is missing',
    'runtimes for Kubernetes name it (CNI_ARGS="K8S_POD_NAMESPACE=default;K8S_POD_NAME=web"); elsewhere take "container" or "mac" for ipam.clientId',
  );
}

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += (byte < 16 ? '0' : '') + byte.toString(16);
  return text;
}
