/** A new link gets exactly this name. To the kernel `%` begins a template (`eth%d`), and nothing means the kind's own. */
export function checkNewName(name: string): void {
  if (name !== '' && !name.includes('%')) return;
  throw new Error(
    `"${name}" is no name for a link: it is empty or contains %, which the kernel takes for a template`,
  );
}
