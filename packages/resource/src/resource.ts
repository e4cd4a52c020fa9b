import type { SyscallError } from '@cni-ts/libc/syscall-error';
import type { NetlinkRequest } from '@cni-ts/netlink/socket';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import type { Place } from './place.ts';
import type { Site } from './site.ts';

export type { Place };

/** How what is there differs from what must be. */
export interface Drift {
  /** In an operator's words: what CHECK answers. */
  readonly text: string;
  /** What exactly differs, where `text` has the reference's words and those do not tell: the details of CHECK's error. */
  readonly detail?: string;
  /** Without this nothing else is as it must be, so nothing else is worth telling: the link is gone, say. */
  readonly hides?: boolean;
}

/**
 * One thing of the kernel or of the disk that an attachment needs: a link, an address, a route, a setting, a set of
 * rules. One class for each kind, in a file of its own; a plugin lists which it needs, and what ADD, CHECK, a dry run and
 * a repair do follows from the list:
 *
 *     [new Veth(pair), new Address('container', 'eth0', cidr), new LinkUp('container', 'eth0'), new Forwarding(4)]
 *
 * `ensure` makes it, or `request` does, which goes to the kernel with its neighbours in one message: for what belongs to
 * a link of the attachment's own, and goes with that. Things of the attachment's own must not be there before; shared
 * ones (a bridge, forwarding) are taken as they are. Undo is registered before each step.
 */
export interface Resource {
  /** Of what is requested: where. */
  readonly at?: Place;
  /** As a line of a dry run: `address 10.22.0.7/16 on eth0`. Or several lines, or ''. */
  describe(site: Site): string;
  /** Whether it comes with something else, and needs no line of its own. */
  readonly implied?: boolean;
  /** Whether it is there already and would be changed. */
  isThere?(site: Site): boolean;
  ensure?(site: Site): void | Promise<void>;
  /** A dry run: throws what `ensure` or `request` would throw, as far as that can be known without a change. What might be
   *  and cannot be known so is noted. Things that come before it need not be there yet. */
  foresee?(site: Site, note: (text: string) => void): void;
  request?(site: Site): NetlinkRequest<never>;
  /** Whether a refusal with this errno is none: `EEXIST` of what may be there already. */
  fine?(code: string | undefined, site: Site): boolean;
  /** What the error of a refused request begins with, and what it ends with; made only then. */
  failure?(): string;
  advice?(refusal: SyscallError): string;
  /** What differs from it, `[]` also where it cannot be seen. The most basic first. */
  differences(site: Site): readonly Drift[];
  /** Puts right what is there and differs; without it, or where it says false, it is made anew. */
  mend?(site: Site): boolean | Promise<boolean>;
}

/**
 * What an attachment leaves on the host, known by its identity alone (network, container, interface): DEL and GC need
 * neither plan nor namespace to take it away, and only what carries this attachment's name.
 */
export interface Lasting {
  /** In the error when it cannot be removed. */
  readonly name: string;
  /** Succeeds any number of times, whatever is missing. */
  remove(site: Site): void | Promise<void>;
  /** Removes what attachments of the network left that are not among `valid`. */
  collect?(site: Site, valid: readonly Attachment[]): void | Promise<void>;
}
