import { systemBytes } from '@cni-ts/libc/system-text';

/** In bytes: IFNAMSIZ without the NUL at its end. An alternative name may be longer. */
export const longestName = 15;

/** A new link gets exactly this name. To the kernel `%` begins a template (`eth%d`), and nothing means the kind's own. */
export function checkNewName(name: string): void {
  if (name !== '' && !name.includes('%')) return;
  throw new Error(
    `"${name}" is no name for a link: it is empty or contains %, which the kernel takes for a template`,
  );
}

/** What an operator should know of a name that no link was found by; '' where the name may be one. */
export function nameAdvice(name: string): string {
  const length = systemBytes(name).length;
  if (length <= longestName) return '';
  return `: the name is too long, it has ${length} bytes and a link's at most ${longestName} (and no link has it as an alternative name)`;
}
