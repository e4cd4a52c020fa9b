/** One interface of one container on one network, as the caller of a runtime describes it. */

export interface RuntimeConf {
  readonly containerId: string;
  readonly ifname: string;
  /** Path of the network namespace; plugins look at it, the runtime never does. */
  readonly netns?: string;
  /** CNI_ARGS as ordered pairs; neither part is escaped. */
  readonly args?: readonly Argument[];
  /** Values for the plugins' capabilities, by name; each plugin is given those it marks `true`. */
  readonly capabilityArgs?: Readonly<Record<string, unknown>>;
}

export type Argument = readonly [key: string, value: string];

/** An attachment the cache knows: enough to repeat its DEL. */
export interface CachedAttachment extends RuntimeConf {
  readonly network: string;
  /** The configuration list or object it was added with. */
  readonly config: Uint8Array;
}
