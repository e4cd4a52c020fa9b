/** All that is looked at of this node for one answer: read once, when somebody asks. */
import { tryStat } from '@cni-ts/libc/file-status';
import { networkMark, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { SaidOwner } from '@cni-ts/skeleton/owner-of';
import { isSaid, ownerOf } from '@cni-ts/skeleton/owner-of';
import { cacheDir } from '@cni-ts/spec/cache-dir';
import { errorText } from '@cni-ts/spec/cni-error';
import { namesOf, type OwnedName } from '../owner-names.ts';
import { configDir } from '../settings.ts';
import { CannotLookError, type VerbCall } from '../verb.ts';
import { type Attached, attachedHere } from './attached.ts';
import { type ConfigFile, configFilesIn, placeOf } from './config-places.ts';
import { insideOf, type Place, placeAt } from './links-here.ts';
import { dataDirs, type Reservation, reservationsIn } from './reservations.ts';
import { type HostRules, rulesHere } from './rules-here.ts';

/** Whose a thing is: those attachments that are known, and what its text says. */
export interface Whose {
  /** Several where what is known does not tell a container's interfaces apart. */
  readonly attached: readonly Attached[];
  readonly said: SaidOwner | undefined;
  readonly plugin: string | undefined;
}

export const nobody: Whose = { attached: [], said: undefined, plugin: undefined };

export class Sight {
  readonly call: Pick<VerbCall, 'env' | 'runtime' | 'plugin' | 'isOurs'>;
  readonly cacheDir: string;
  readonly folder: string;
  #attached: readonly Attached[] | undefined;
  #files: readonly ConfigFile[] | undefined;
  #rules: HostRules | undefined;
  #host: Place | undefined;
  #inside: ReadonlyMap<string, Place | Error> | undefined;
  #reservations: readonly Reservation[] | undefined;
  #names: ReadonlyMap<string, readonly { readonly of: Attached; readonly name: OwnedName }[]> | undefined;

  constructor(call: Sight['call']) {
    this.call = call;
    this.cacheDir = cacheDir(call.env);
    this.folder = configDir(call.env);
  }

  get attached(): readonly Attached[] {
    if (this.#attached) return this.#attached;
    try {
      this.#attached = attachedHere(this.call.runtime, this.cacheDir);
    } catch (error) {
      throw new CannotLookError(`what is remembered cannot be read, run it as root: ${errorText(error)}`);
    }
    return this.#attached;
  }

  get files(): readonly ConfigFile[] {
    this.#files ??= configFilesIn(this.folder);
    return this.#files;
  }

  get rules(): HostRules {
    this.#rules ??= rulesHere();
    return this.#rules;
  }

  get host(): Place {
    this.#host ??= placeAt();
    return this.#host;
  }

  /** By the paths of the namespaces. */
  get inside(): ReadonlyMap<string, Place | Error> {
    this.#inside ??= insideOf(this.attached);
    return this.#inside;
  }

  get dataDirs(): readonly string[] {
    return dataDirs([
      ...this.attached.flatMap(({ plugins }) => plugins),
      ...this.files.flatMap(({ document }) => {
        const { plugins } = document.json;
        return (Array.isArray(plugins) ? plugins : [document.json]).filter(
          (one) => typeof one === 'object' && one !== null,
        );
      }),
    ]);
  }

  get reservations(): readonly Reservation[] {
    this.#reservations ??= reservationsIn(this.dataDirs);
    return this.#reservations;
  }

  /** `10-web.conflist:18` */
  place(network: string, type: string): string | undefined {
    return placeOf(this.files, network, type);
  }

  /** What a file says is there and cannot be read, for instance for want of rights. */
  get cacheIsThere(): boolean {
    return tryStat(`${this.cacheDir}/results`) !== undefined;
  }

  /** What was asked of the same text before: of a hundred containers' rules many have it. */
  readonly #known = new Map<string, Whose | undefined>();
  #marks: ReadonlyMap<string, readonly Attached[]> | undefined;

  /** Whose a thing is, by the texts on it and by the names that follow from an attachment's. */
  whose(...texts: readonly (string | undefined)[]): Whose {
    const given = texts.flatMap((text) => (text === undefined || text === '' ? [] : [text]));
    let best = nobody;
    for (const text of given) {
      const found = this.#byText(text);
      if (!found) continue;
      // What names an interface tells more than what names a container.
      if (best === nobody || (found.attached.length === 1 && best.attached.length !== 1)) {
        best = { ...found, plugin: found.plugin ?? best.plugin };
      } else if (best.plugin === undefined && found.plugin !== undefined)
        best = { ...best, plugin: found.plugin };
    }
    return best;
  }

  #byText(text: string): Whose | undefined {
    if (!this.#known.has(text)) this.#known.set(text, this.#read(text));
    return this.#known.get(text);
  }

  #read(text: string): Whose | undefined {
    const said = ownerOf(text);
    if (said && (said.network !== undefined || said.containerId !== undefined || said.mark !== undefined)) {
      const attached = this.#marked(said.mark) ?? this.attached.filter((one) => isSaid(said, one));
      return { attached, said, plugin: said.plugin };
    }
    const named = this.#named().get(text);
    if (named) {
      return { attached: named.map(({ of }) => of), said: undefined, plugin: named[0]?.name.plugin };
    }
    // The reference's rules for ports in nftables have the container's ID and nothing else.
    const ofContainer = this.attached.filter(({ containerId }) => containerId === text);
    return ofContainer.length > 0
      ? { attached: ofContainer, said: { containerId: text }, plugin: 'portmap' }
      : undefined;
  }

  /** By the hashes of network, interface and container; undefined for other texts. */
  #marked(mark: string | undefined): readonly Attached[] | undefined {
    if (mark === undefined || mark.length <= networkMark('').length) return undefined;
    this.#marks ??= new Map(this.attached.map((one) => [ownerMark(one), [one]]));
    return this.#marks.get(mark) ?? [];
  }

  #named() {
    if (this.#names) return this.#names;
    const names = new Map<string, { of: Attached; name: OwnedName }[]>();
    for (const of of this.attached) {
      for (const name of namesOf(of)) {
        const known = names.get(name.name);
        if (!known) names.set(name.name, [{ of, name }]);
        else if (known.every((one) => one.of !== of)) known.push({ of, name });
      }
    }
    this.#names = names;
    return names;
  }
}
