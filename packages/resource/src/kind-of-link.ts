/** Whether the kernel has a kind of links, found out without a module being loaded for the question. */
import { readText } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { createLink, type NewLink } from '@cni-ts/rtnetlink/link';
import { emptyNamespace } from './namespace.ts';
import type { Site } from './site.ts';

type Kind = NonNullable<NewLink['info']>['kind'] & string;

/** The kernel's module of the kind. */
export function moduleOf(kind: string): string {
  return kind === 'vlan' ? '8021q' : kind;
}

/** No link has such an MTU (dev_validate_mtu, net/core/dev.c): the kernel looks for the kind first, and makes nothing. */
const impossibleMtu = 0xffff_ffff;

/**
 * The kernel's refusal of the kind, as ADD gets it; undefined where it has the kind, or has a module for it. Where this
 * cannot be told without loading that module, `note` is told.
 */
export function refusalOfKind(
  site: Site,
  kind: Kind,
  note: (text: string) => void,
): SyscallError | undefined {
  const name = moduleOf(kind);
  switch (moduleHere(name)) {
    case 'present':
      return undefined;
    case 'unknown':
      note(
        `whether the kernel has links of kind ${kind} shows when ADD needs one: module "${name}" is not loaded, and its ` +
          'list of modules (/lib/modules) is not to be seen from here',
      );
      return undefined;
    case 'absent':
      return asked(site, kind);
  }
}

/** There is no module to load, so that the question changes nothing: what the kernel has is built in. */
function asked(site: Site, kind: Kind): SyscallError | undefined {
  const { route } = site.once('a namespace to ask in', () => emptyNamespace(site.request));
  try {
    createLink(route, { name: 'cni-probe', mtu: impossibleMtu, info: { kind } } as NewLink); // reason: it needs no data to be refused
  } catch (error) {
    // A kind that rtnetlink does not make (tun) is refused as well, in other words.
    const isUnknown =
      error instanceof SyscallError && ['', 'Unknown device type'].includes(error.explanation);
    if (isUnknown && error.code === 'EOPNOTSUPP') return error;
  }
  return undefined;
}

/** `absent`: neither loaded nor in the list of what could be; the kernel may have it built in all the same. */
function moduleHere(name: string): 'present' | 'absent' | 'unknown' {
  if (tryStat(`/sys/module/${name}`)) return 'present';
  // A kernel without modules has no such file.
  if (!tryStat('/proc/modules')) return 'absent';
  const folder = `/lib/modules/${(textOf('/proc/sys/kernel/osrelease') ?? '').trim()}`;
  const loadable = textOf(`${folder}/modules.dep`);
  const builtIn = textOf(`${folder}/modules.builtin`);
  for (const text of [loadable, builtIn]) {
    for (const line of text?.split('\n') ?? []) {
      const path = line.split(':')[0] ?? '';
      const file = path.slice(path.lastIndexOf('/') + 1);
      if (file.startsWith(`${name}.ko`)) return 'present';
    }
  }
  return loadable === undefined ? 'unknown' : 'absent';
}

function textOf(path: string): string | undefined {
  try {
    return readText(path);
  } catch {
    return undefined; // reason: what cannot be read tells nothing, which is what the caller says then
  }
}
