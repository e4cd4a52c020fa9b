/** What is told of a code of `cnitool` and of the plugins' VALIDATE, on its page and by others. */
export interface CodeText {
  /** In a few words, as a title. */
  readonly title: string;
  /** What it means for whoever runs containers on that network. */
  readonly meaning: string;
  /** Why it happens. */
  readonly why: string;
  readonly cure: string;
}
