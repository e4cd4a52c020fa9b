import type { Result } from '@cni-ts/spec/result';
import { expect } from 'vitest';
import type { Case } from './case.ts';
import type { Container, Host } from './namespaces.ts';
import type { Given, Stage } from './stage.ts';

/** One configuration of an IPAM plugin that the suite tries. It gives one address of each family at most, since
 *  versions before 0.3.0 have no place for more. */
export interface IpamCase
  extends Omit<Case, 'before' | 'plugins' | 'withoutAddress' | 'keeps' | 'staysWithoutPath'> {
  /** Who knows what was given: files of this host (the default); something else, such as a daemon or a server; or
   *  nobody, since everybody gets what is written down. */
  readonly memory?: 'files' | 'elsewhere' | 'nobody';
  /** What is known elsewhere, without what changes by itself. */
  look?(host: Host): unknown;
  /** Makes the container's link, which is there before IPAM is asked, for a plugin that asks over it. */
  link?(host: Host, container: Container, containerId: string): void;
  /** Another valid configuration of the network, which DEL may be called with. */
  other?(host: Host): object;
  /** Members of the `ipam` section that say where its state is: DEL gets these, whatever else is lost. */
  readonly whereStateIs?: readonly string[];
  /** Why a dry run cannot tell which address ADD then gives. */
  readonly chosenElsewhere?: string;
}

/** A stage, and how an IPAM plugin is seen on it. */
export class Trial {
  readonly stage: Stage;
  readonly one: IpamCase;

  constructor(stage: Stage, one: IpamCase) {
    this.stage = stage;
    this.one = one;
  }

  config(containerId = '', cniVersion?: string): object {
    return { ...this.stage.config(cniVersion), ...this.one.runtime?.(containerId) };
  }

  /** All that is remembered, and the host. */
  look() {
    const { host } = this.stage;
    return { host: this.stage.look(), elsewhere: this.one.look?.(host) };
  }

  /** Adds, and says how the attachment is called from then on. */
  async added(
    containerId: string,
    more: Given = {},
  ): Promise<{ known: Given; container: Container; ips: string[] }> {
    const { given, container } = this.stage.attach(containerId);
    return { ...(await this.addedTo({ ...given, ...more })), container };
  }

  /** Another interface of a container that is there. */
  async addedTo(given: Given): Promise<{ known: Given; ips: string[] }> {
    const { result } = await this.stage.succeed('ADD', given);
    return { known: { ...given, prevResult: asChained(result, given) }, ips: addressesOf(result) };
  }

  /** Waits until what is seen is this. */
  settlesTo(expected: unknown, story = ''): Promise<void> {
    return this.stage.settled(() => expect(this.look(), story).toEqual(expected));
  }

  /** The first attachment of a network leaves what stays: a folder, say. */
  async warmUp(): Promise<void> {
    await this.stage.warmUp();
  }
}

/** What a runtime has of a main plugin that asked this IPAM plugin. */
function asChained(result: Result | undefined, { container, ifname = 'eth0' }: Given): object {
  const ips = (result?.ips ?? []).map((ip) => ({ ...ip, interface: 0 }));
  return { ...result, interfaces: [{ name: ifname, sandbox: container?.path ?? '' }], ips };
}

export function addressesOf(result: Result | undefined): string[] {
  return (result?.ips ?? []).map(({ address }) => address);
}
