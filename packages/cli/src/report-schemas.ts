/** What `--json` prints, for dist/schemas and for tests: nothing that the tool itself loads. */
import * as z from 'zod/mini';
import { poolPart } from './cluster-report-schemas.ts';

const level = () => z.enum(['error', 'warning', 'note']);
const count = () => z.int().check(z.minimum(0));

/** `cnitool validate --json` */
export function validateSchema() {
  return z.strictObject({
    errors: count(),
    warnings: count(),
    notes: count(),
    files: z.array(z.string()),
    winner: z.optional(z.strictObject({ file: z.string(), network: z.string() })),
    findings: z.array(
      z.strictObject({
        file: z.string(),
        line: z.int(),
        column: z.int(),
        width: z.int(),
        pointer: z.string(),
        code: z.string().check(z.regex(/^CNI[1-4]\d{3}$/)),
        level: level(),
        message: z.string(),
        nearest: z.optional(z.string()),
        text: z.string(),
      }),
    ),
  });
}

/** `cnitool list --json` */
export function listSchema() {
  const optional = () => z.optional(z.string());
  return z.strictObject({
    folder: z.string(),
    files: z.array(
      z.strictObject({
        file: z.string(),
        network: optional(),
        plugins: z.optional(z.array(z.string())),
        cniVersion: optional(),
        attachments: z.optional(count()),
        error: optional(),
        wins: z.boolean(),
        why: z.string(),
      }),
    ),
    attachments: z.array(
      z.strictObject({
        network: z.string(),
        containerId: z.string(),
        ifname: z.string(),
        netns: z.string(),
        addresses: z.array(z.string()),
        lives: z.boolean(),
      }),
    ),
    /** Paths of what is remembered and cannot be read. */
    damaged: z.array(z.string()),
    plugins: z.array(
      z.strictObject({
        type: z.string(),
        path: optional(),
        versions: z.optional(z.array(z.string())),
        error: optional(),
      }),
    ),
  });
}

/** `cnitool install --json`, and `uninstall --json` */
export function installSchema() {
  return z.strictObject({
    folder: z.string(),
    version: z.string(),
    files: z.array(
      z.strictObject({
        name: z.string(),
        path: z.string(),
        action: z.enum(['installed', 'replaced', 'refused', 'removed', 'restored', 'left']),
        before: z.optional(
          z.strictObject({
            whose: z.enum(['ours', 'go', 'other']),
            version: z.string(),
            thisBuild: z.boolean(),
          }),
        ),
        kept: z.optional(z.string()),
        code: z.optional(z.string().check(z.regex(/^CNI403\d$/))),
        text: z.string(),
      }),
    ),
  });
}

const cause = () => z.enum(['boot', 'namespace', 'forgotten', 'runtime']);
const whose = () => ({ containerId: z.string(), ifname: z.optional(z.string()) });

/** `cnitool gc --stale --json` */
export function gcSchema() {
  return z.strictObject({
    removed: z.boolean(),
    networks: z.array(
      z.strictObject({
        network: z.string(),
        attachments: z.array(
          z.strictObject({
            containerId: z.string(),
            ifname: z.string(),
            netns: z.string(),
            addresses: z.array(z.string()),
            cause: cause(),
            why: z.string(),
          }),
        ),
        reservations: z.array(
          z.strictObject({ address: z.string(), ...whose(), cause: cause(), why: z.string() }),
        ),
        kept: z.array(z.strictObject({ containerId: z.string(), ifname: z.string() })),
      }),
    ),
  });
}

/** `cnitool ipam show --json` */
export function ipamShowSchema() {
  return z.strictObject({
    networks: z.array(
      z.strictObject({
        network: z.string(),
        file: z.optional(z.string()),
        stores: z.array(
          z.strictObject({
            folder: z.string(),
            unknown: z.optional(z.string()),
            ranges: z.array(
              z.strictObject({
                range: z.string(),
                usable: z.number(),
                used: count(),
                live: count(),
                beforeBoot: count(),
                namespaceGone: count(),
                forgotten: count(),
                aside: count(),
                blocks: z.optional(count()),
              }),
            ),
            pool: z.optional(poolPart()),
            holders: z.array(
              z.strictObject({
                address: z.string(),
                ...whose(),
                since: z.string(),
                live: z.boolean(),
                cause: z.optional(cause()),
                why: z.string(),
                inRange: z.boolean(),
              }),
            ),
            odd: z.array(z.strictObject({ address: z.string(), path: z.string(), why: z.string() })),
          }),
        ),
        leases: z.array(
          z.strictObject({
            address: z.string(),
            containerId: z.string(),
            ifname: z.string(),
            netns: z.string(),
          }),
        ),
        others: z.array(z.string()),
      }),
    ),
  });
}

/** `cnitool ipam why --json` */
export function ipamWhySchema() {
  return z.strictObject({
    address: z.string(),
    reasons: z.array(
      z.strictObject({
        network: z.string(),
        text: z.string(),
        isStale: z.boolean(),
        cure: z.optional(z.string()),
      }),
    ),
  });
}

/** `cnitool ipam check --json`, and what `-o` writes */
export function ipamCheckSchema() {
  return z.strictObject({
    version: z.literal(1),
    findings: z.array(
      z.strictObject({
        code: z.string().check(z.regex(/^CNI[1-4]\d{3}$/)),
        level: level(),
        network: z.string(),
        message: z.string(),
        address: z.optional(z.string()),
        containerId: z.optional(z.string()),
        ifname: z.optional(z.string()),
        path: z.optional(z.string()),
        since: z.optional(z.string()),
      }),
    ),
  });
}

/** `cnitool ipam release --json` */
export function ipamReleaseSchema() {
  return z.strictObject({
    released: z.array(
      z.strictObject({
        network: z.string(),
        address: z.string(),
        ...whose(),
        left: z.optional(z.string()),
      }),
    ),
  });
}

/** `cnitool plan --json` */
export function planSchema() {
  return z.strictObject({
    network: z.string(),
    containerId: z.string(),
    ifname: z.string(),
    netns: z.string(),
    changes: count(),
    isWhole: z.boolean(),
    plugins: z.array(
      z.strictObject({
        type: z.string(),
        state: z.enum(['planned', 'foreign', 'unknown', 'fails']),
        changes: z.array(z.strictObject({ sign: z.enum(['+', '~']), text: z.string() })),
        notes: z.optional(z.array(z.string())),
        code: z.optional(z.string()),
        message: z.optional(z.string()),
      }),
    ),
    result: z.optional(z.looseObject({ cniVersion: z.string() })),
  });
}

/** `cnitool repair --json` */
export function repairSchema() {
  const optional = () => z.optional(z.string());
  return z.strictObject({
    attachments: z.array(
      z.strictObject({
        network: z.string(),
        containerId: z.string(),
        ifname: z.string(),
        netns: z.string(),
        state: z.enum(['fine', 'repaired', 'differs', 'failed', 'gone', 'unknown']),
        plugins: z.array(
          z.strictObject({
            type: z.string(),
            state: z.enum(['fine', 'repaired', 'differs', 'foreign', 'unseen', 'failed']),
            texts: z.array(z.string()),
          }),
        ),
        code: optional(),
        message: optional(),
        cure: optional(),
      }),
    ),
    fine: count(),
    repaired: count(),
    differ: count(),
    failed: count(),
    gone: count(),
    unknown: count(),
    rules: z.strictObject({ elements: count(), transactions: count() }),
    interrupted: z.optional(z.strictObject({ signal: z.string(), left: count() })),
  });
}

/** `cnitool trace --json` */
export function traceSchema() {
  return z.strictObject({
    container: z.string(),
    netns: z.string(),
    ifname: z.string(),
    to: z.string(),
    arrives: z.boolean(),
    hops: z.array(
      z.strictObject({
        at: z.enum(['container', 'host', 'back', 'probe']),
        state: z.enum(['fine', 'fault', 'warning', 'note']),
        code: z.optional(z.string().check(z.regex(/^CNI[1-4]\d{3}$/))),
        text: z.string(),
        cure: z.optional(z.string()),
      }),
    ),
  });
}

/** `cnitool timeline --json` */
export function timelineSchema() {
  const time = { start: z.int(), duration: count(), error: z.optional(z.string()) };
  return z.strictObject({
    spans: z.array(
      z.strictObject({
        traceId: z.string().check(z.regex(/^[0-9a-f]{32}$/)),
        spanId: z.string().check(z.regex(/^[0-9a-f]{16}$/)),
        parentId: z.optional(z.string().check(z.regex(/^[0-9a-f]{16}$/))),
        kind: z.enum(['plugin', 'run', 'chain']),
        verb: z.string(),
        plugin: z.string(),
        network: z.string(),
        container: z.string(),
        interface: z.string(),
        ...time,
        ended: z.boolean(),
        steps: z.array(z.strictObject({ step: z.string(), ...time })),
      }),
    ),
    unreadable: count(),
  });
}
