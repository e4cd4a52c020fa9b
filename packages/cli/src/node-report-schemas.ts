/** What `--json` of explain and doctor prints, for dist/schemas and for tests: nothing that the tool itself loads. */
import * as z from 'zod/mini';

const level = () => z.enum(['error', 'warning', 'note']);

const finding = () =>
  z.strictObject({
    code: z.string().check(z.regex(/^CNI[1-4]\d{3}$/)),
    level: level(),
    message: z.string(),
    cure: z.string(),
  });

/** `cnitool explain --json` */
export function explainSchema() {
  return z.strictObject({
    object: z.string(),
    kind: z.enum([
      'container',
      'address',
      'host port',
      'link',
      'rule',
      'mark',
      'reservation',
      'list of blocks',
      'configuration',
      'network',
      'namespace',
      'cache entry',
    ]),
    title: z.string(),
    attachments: z.array(
      z.strictObject({
        network: z.string(),
        containerId: z.string(),
        ifname: z.string(),
        pod: z.optional(z.string()),
        netns: z.string(),
        lives: z.boolean(),
        added: z.optional(z.string()),
        addresses: z.array(z.string()),
        ports: z.array(
          z.strictObject({
            protocol: z.string(),
            port: z.int(),
            containerPort: z.int(),
            hostIP: z.string(),
          }),
        ),
        plugins: z.array(z.strictObject({ type: z.string(), place: z.optional(z.string()) })),
      }),
    ),
    facts: z.array(z.string()),
    findings: z.array(finding()),
    unknown: z.array(z.string()),
  });
}

/** `cnitool doctor --json` */
export function doctorSchema() {
  return z.strictObject({
    findings: z.array(z.extend(finding(), { probe: z.string(), attachment: z.optional(z.string()) })),
    /** Probes that found nothing, and what they looked at. */
    fine: z.array(z.strictObject({ probe: z.string(), what: z.string() })),
    /** Probes that could not look, and why. */
    unknown: z.array(z.strictObject({ probe: z.string(), why: z.string() })),
  });
}
