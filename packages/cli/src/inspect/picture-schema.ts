/** What `cnitool inspect --json` prints, for dist/schemas and for tests: nothing that the tool itself loads. */
import * as z from 'zod/mini';

const count = () => z.int().check(z.minimum(0));

export function inspectSchema() {
  const texts = () => z.array(z.string());
  const link = () =>
    z.strictObject({
      name: z.string(),
      kind: z.string(),
      up: z.boolean(),
      mtu: count(),
      addresses: texts(),
      gateways: texts(),
    });
  const card = z.strictObject({
    containerId: z.string(),
    title: z.string(),
    netns: z.string(),
    state: z.enum(['lives', 'gone', 'unknown']),
    interfaces: z.array(
      z.strictObject({
        name: z.string(),
        network: z.string(),
        addresses: texts(),
        remembered: z.boolean(),
        hostLink: z.string(),
        mtu: count(),
      }),
    ),
    ports: texts(),
    limits: z.strictObject({ toContainer: z.optional(z.number()), fromContainer: z.optional(z.number()) }),
    elsewhere: texts(),
    problems: texts(),
  });
  return z.strictObject({
    node: z.string(),
    networks: z.array(z.strictObject({ name: z.string(), plugins: texts(), attachments: count() })),
    uplinks: z.array(link()),
    groups: z.array(
      z.strictObject({
        kind: z.enum(['bridge', 'upper', 'pairs', 'alone', 'foreign']),
        title: z.string(),
        link: z.optional(link()),
        masquerade: z.boolean(),
        strangers: texts(),
        cards: z.array(card),
      }),
    ),
    others: z.array(link()),
    problems: count(),
  });
}
