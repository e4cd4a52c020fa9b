import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Container, Host } from './namespaces.ts';
import type { Snapshot } from './snapshot.ts';

/** Something changed behind the plugin's back. */
export interface Tampering {
  by(host: Host, container: Container): void;
  readonly says: RegExp;
  /** Why REPAIR of this plugin cannot heal it: another plugin of the chain made that. */
  readonly notHealed?: string;
}

/** One configuration of a plugin that the conformance suite tries. */
export interface Case {
  readonly title: string;
  /** The configuration without cniVersion and name. Files it names belong under `host.dir`. */
  config(host: Host): object;
  /** What the runtime adds for one container, where two must not ask for the same. */
  runtime?(containerId: string): object;
  /** Plugins it delegates to. */
  readonly plugins?: readonly Plugin[];
  /** What the host has already: a link to stand on, a server. A promise is waited for. */
  prepare?(host: Host): unknown;
  /** Ends what `prepare` started and that does not go with the host. */
  end?(host: Host): unknown;
  /** For a plugin in a chain: makes what the plugins before it make, and returns their result. Called again with the
   *  same container ID once that container is gone. */
  before?(host: Host, container: Container, containerId: string): object | undefined;
  /** What the host gives away to each container, and what goes for good when that container's namespace does: a virtual
   *  device that is moved there. `make` finds it there already where it came back. */
  readonly device?: {
    make(host: Host, containerId: string): void;
    lose(host: Host, containerId: string): void;
  };
  /** Why its result has no address: then 0.1.0 and 0.2.0 cannot express it. */
  readonly withoutAddress?: boolean;
  /** Changes that CHECK must find, by name, and what its message must say. */
  readonly tamperings?: Record<string, Tampering>;
  /** CNI_IFNAME, for a plugin that is not about eth0. */
  readonly ifname?: string;
  /** DEL cannot do without the namespace for a reason given here: the interface stays until the namespace goes. */
  readonly staysWithoutPath?: string;
  /** Members of a snapshot that stay changed after a failed ADD, with the reason. */
  readonly keeps?: { readonly members: readonly (keyof Snapshot)[]; readonly because: string };
  /** Members of the container's snapshot that stay changed after DEL, with the reason. */
  readonly leavesInContainer?: { readonly members: readonly (keyof Snapshot)[]; readonly because: string };
}
