/** The ways a runtime may call DEL, and that each leaves the host as it was before ADD. */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { omit } from './lasting-state.ts';
import type { Container } from './namespaces.ts';
import { type Snapshot, snapshot } from './snapshot.ts';
import type { Given, Stage } from './stage.ts';

/** A way DEL is called: what happened before, what it is told, and whether it is told where the container is. */
export interface Way {
  readonly title: string;
  happens?(stage: Stage, container: Container): void;
  told?(given: Given, container: Container): Given;
  /** Its configuration has only what says which network it is and where state is kept. */
  readonly bare?: boolean;
  readonly knowsContainer: boolean;
}

/** For each of these DEL must leave the host as it was. */
export const ways: readonly Way[] = [
  { title: 'as usual', knowsContainer: true },
  {
    title: 'without prevResult',
    told: (given) => ({ ...given, prevResult: undefined }),
    knowsContainer: true,
  },
  {
    title: 'after the namespace went away',
    happens: (_, container) => container.remove(),
    told: (given, { path }) => ({ ...given, container: undefined, netns: path }),
    knowsContainer: false,
  },
  {
    title: 'with a CNI_NETNS that has become a plain file',
    happens: (_, container) => container.remove(),
    told(given, { path }) {
      // What a mount point under /run/netns is when the mount went with a reboot, say.
      writeFileSync(path, '');
      return { ...given, container: undefined, netns: path };
    },
    knowsContainer: false,
  },
  {
    title: 'with a configuration that has lost its optional fields, and without prevResult',
    told: (given) => ({ ...given, prevResult: undefined }),
    bare: true,
    knowsContainer: true,
  },
  {
    title: 'with an empty CNI_NETNS',
    told: (given) => ({ ...given, container: undefined, netns: '' }),
    knowsContainer: false,
  },
  {
    title: 'after the interface went away',
    happens: ({ ifname }, container) => void (ifname === 'lo' || container.succeeds(`ip link del ${ifname}`)),
    knowsContainer: true,
  },
];

export async function delRestores(
  stage: Stage,
  { title, happens, told, bare, knowsContainer }: Way,
): Promise<void> {
  const { case: one } = stage;
  // Links made anew, as those of other plugins are below, have other MACs.
  const steady = (state: Snapshot) =>
    happens ? { ...state, links: state.links.map((link) => ({ ...link, mac: undefined })) } : state;
  const look = (container: Container) => ({
    host: steady(stage.look()),
    ...(knowsContainer && {
      container: omit(steady(snapshot(container.netns)), one.leavesInContainer?.members),
    }),
  });
  await stage.warmUp();
  // What stands before it in the chain goes with the container or the link, just as it does without this plugin.
  const alone = happens && (await withoutPlugin(stage, 'c1', (container) => happens(stage, container), look));
  const { given, container } = stage.attach('c1');
  const expected = alone ?? look(container);
  const { result } = await stage.succeed('ADD', given);
  happens?.(stage, container);
  const known = { ...given, prevResult: result };
  for (const which of ['first', 'second']) {
    await stage.succeed('DEL', told?.(known, container) ?? known, bare ? lost(stage.config()) : {});
    if (title.includes('CNI_NETNS') && one.staysWithoutPath) container.remove();
    await stage.settled(() => expect(look(container), `after the ${which} DEL`).toEqual(expected));
  }
}

/** Makes undefined, for a configuration that is merged into another, what is neither a name nor a place of state. */
function lost(config: object): object {
  const kept = ['cniVersion', 'name', 'type', 'dataDir'];
  return Object.fromEntries(
    Object.entries(config)
      .filter(([field]) => !kept.includes(field))
      .map(([field, value]) => [
        field,
        field === 'ipam' ? { type: value.type, dataDir: value.dataDir } : undefined,
      ]),
  );
}

/** What `look` sees after `happens` where this plugin was never called; the container is gone afterwards. */
export async function withoutPlugin<T>(
  stage: Stage,
  containerId: string,
  happens: (container: Container) => void,
  look: (container: Container) => T,
): Promise<T> {
  const { container } = stage.attach(containerId);
  await stage.ending(container, () => happens(container));
  stage.case.device?.lose(stage.host, containerId);
  const seen = look(container);
  await stage.ending(container, container.remove);
  return seen;
}
