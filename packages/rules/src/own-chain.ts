/**
 * A chain of one attachment, named after it. Its usual name is the reference's, where names run together: two
 * attachments may have the same. The second gets its chain under a spare name, in which something that is in no name
 * stands between them.
 */
export interface ChainNames {
  readonly usual: string;
  readonly spare: string;
}

/** Under which of its names an attachment has its chain (usually one or none), and which it is to have. */
export interface OwnChain {
  readonly standing: readonly string[];
  readonly name: string;
}

/** `isAnothers`: whether the chain of the usual name, which is there, belongs to somebody else. */
export function ownChain(
  { usual, spare }: ChainNames,
  has: (name: string) => boolean,
  isAnothers: () => boolean,
): OwnChain {
  const taken = has(usual) && isAnothers();
  return {
    standing: (taken ? [spare] : [usual, spare]).filter(has),
    name: taken ? spare : usual,
  };
}
