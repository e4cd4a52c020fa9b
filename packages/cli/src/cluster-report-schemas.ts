/** What `--json` of the cluster's commands prints, for dist/schemas and for tests: nothing that the tool itself loads. */
import * as z from 'zod/mini';

const count = () => z.int().check(z.minimum(0));
const optional = () => z.optional(z.string());

/** `cnitool ipam spaces --json` */
export function ipamSpacesSchema() {
  return z.strictObject({
    node: z.string(),
    version: z.string(),
    etcd: z.strictObject({ reachable: z.boolean(), since: z.string(), error: optional() }),
    trouble: z.array(z.string()),
    spaces: z.array(
      z.strictObject({
        space: z.string(),
        blocks: z.array(
          z.strictObject({
            block: z.string(),
            node: z.string(),
            network: z.string(),
            since: z.string(),
            owner: optional(),
            used: z.optional(count()),
            usable: z.optional(z.number()),
            stale: optional(),
          }),
        ),
      }),
    ),
    nodes: z.array(
      z.strictObject({
        node: z.string(),
        alive: z.boolean(),
        since: z.string(),
        version: z.string(),
        fencing: z.boolean(),
      }),
    ),
  });
}

/** `cnitool ipam fence --json` */
export function ipamFenceSchema() {
  return z.strictObject({
    node: z.string(),
    off: z.boolean(),
    done: z.boolean(),
    alive: z.boolean(),
    held: z.array(z.strictObject({ space: z.string(), block: z.string(), network: z.string() })),
    returned: z.array(z.string()),
    waiting: z.array(z.string()),
    refused: optional(),
  });
}

/** `cnitool ipam import --json` */
export function ipamImportSchema() {
  const of = { address: z.string(), containerId: z.string() };
  return z.strictObject({
    done: z.boolean(),
    pools: count(),
    taken: z.array(
      z.strictObject({
        ...of,
        pool: z.string(),
        network: z.string(),
        ifname: z.string(),
        podRef: optional(),
      }),
    ),
    refused: z.array(z.strictObject({ ...of, why: z.string() })),
    left: z.array(z.strictObject({ ...of, pool: z.string(), why: z.string(), isGone: z.boolean() })),
    elsewhere: z.array(z.strictObject({ ...of, pool: z.string(), podRef: optional() })),
    damaged: z.array(z.string()),
    passedOver: z.record(z.string(), count()),
  });
}

/** Of `cnitool ipam show --json`, for a network that has its addresses from a cluster. */
export function poolPart() {
  return z.strictObject({
    space: z.string(),
    file: z.string(),
    damaged: optional(),
    node: optional(),
    confirmed: z.optional(z.boolean()),
    blocks: z.array(
      z.strictObject({
        block: z.string(),
        state: z.enum(['held', 'draining', 'lost']),
        owner: optional(),
        used: count(),
        usable: z.number(),
      }),
    ),
  });
}
