/** What was found on a node, as the kernel and the cache tell it, before anything is made of it. */

export interface SeenLink {
  readonly index: number;
  readonly name: string;
  /** '' for hardware. */
  readonly kind: string;
  readonly up: boolean;
  readonly mtu: number;
  /** Index of the bridge (or the like) it is a port of; 0 if none. */
  readonly master: number;
  /** Index of the link below it, or of a veth's other end; 0 if none. */
  readonly lower: number;
  readonly alias: string;
  readonly addresses: readonly string[];
  /** Of a macvlan or an ipvlan. */
  readonly mode?: string | undefined;
  /** What its token bucket lets pass, in bits per second. */
  readonly limit?: number | undefined;
  /** Index of the link that all it receives is sent to first: an ifb with a bucket. */
  readonly sendsTo?: number | undefined;
}

export interface SeenAttachment {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
  /** '' where it is not known. */
  readonly netns: string;
  /** As Kubernetes names it, `namespace/name`; else ''. */
  readonly pod: string;
  readonly plugins: readonly string[];
  readonly masquerade: boolean;
  /** As people write them: `8080/tcp → 80`. */
  readonly ports: readonly string[];
  /** What the result says: counts where the kernel cannot be asked. */
  readonly addresses: readonly string[];
  /** Host's ends by the result. */
  readonly hostLinks: readonly string[];
}

/** A namespace that was looked into; without `links`: why not. */
export interface SeenNamespace {
  readonly path: string;
  readonly state: 'lives' | 'gone' | 'unknown';
  readonly links: readonly SeenLink[];
}

export interface Seen {
  /** The node's name. */
  readonly node: string;
  readonly links: readonly SeenLink[];
  /** Default routes: by which link, to which next hop ('' for none). */
  readonly gateways: readonly { readonly link: number; readonly via: string }[];
  readonly attachments: readonly SeenAttachment[];
  /** By path: those of the attachments, and those under /run/netns that no attachment has. */
  readonly namespaces: readonly SeenNamespace[];
}
