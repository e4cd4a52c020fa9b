import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Dns } from '@cni-ts/spec/result';
import * as z from 'zod/mini';
import { compiledShapes } from './compiled-shapes.ts';
import { sentence } from './config-error.ts';
import { readByShape } from './config-shape.ts';
import { fold } from './config-spelling.ts';

/** The keys every network configuration has (CNI specification, section 1), to be spread into a plugin's own
 *  schema. They are made when they are spread: a plugin that only answers VERSION makes none. */
export const networkConfig = {
  get cniVersion() {
    return z.optional(z.string());
  },
  get name() {
    return z.optional(z.string());
  },
  get type() {
    return z.optional(z.string());
  },
  get capabilities() {
    return z.optional(z.record(z.string(), z.boolean()));
  },
  /** Only `type` is ours; everything else in it belongs to the IPAM plugin. */
  get ipam() {
    return z.optional(z.object({ type: z.optional(z.string()) }));
  },
  get dns() {
    return z.optional(
      z.object({
        nameservers: z.optional(z.array(z.string())),
        domain: z.optional(z.string()),
        search: z.optional(z.array(z.string())),
        options: z.optional(z.array(z.string())),
      }),
    );
  },
  /** Read through `request.prevResult`, which knows the versions; here only that it is an object. */
  get prevResult() {
    return z.optional(z.record(z.string(), z.unknown()));
  },
  get runtimeConfig() {
    return z.optional(z.unknown());
  },
  get args() {
    return z.optional(z.unknown());
  },
};

/** The `dns` of networkConfig as a result has it. */
export function dnsOf(dns: z.output<typeof networkConfig.dns>): Dns | undefined {
  return dns as Dns | undefined; // reason: the schema's members may be undefined, which Dns writes as absent
}

/** readConfig by the shape that the build compiled from the schema, where it knows one of this name and that accepts
 *  the value. A test of tools/bundle holds the shapes to their schemas. */
export function readConfigOf<S extends z.core.$ZodType>(
  name: string,
  schema: () => S,
  json: unknown,
  prefix?: string,
): z.output<S> {
  const shape = compiledShapes[name];
  const read = shape && readByShape(shape, json);
  return read === undefined ? readConfig(schema(), json, prefix) : (read as z.output<S>); // reason: see above
}

/** Reads a parsed JSON value by a zod/mini schema, as Go reads it into a struct, because configurations in the
 *  field rely on it: a key matches without regard to letter case, the last spelling that is not null wins, and null
 *  is the same as absent. Both hold only for keys the schema models; other keys pass unseen.
 *  The first thing wrong is a CniError 7 that names the path: `‹prefix›: ipam.ranges[0].mtu: expected a number, got
 *  the string "x"`. A message given to a zod check is used as it is; one that starts with `expected` is continued
 *  with what was found. */
export function readConfig<S extends z.core.$ZodType>(
  schema: S,
  json: unknown,
  prefix = 'failed to load netconf',
): z.output<S> {
  // zod would generate code for each schema, which pays off after many values; a plugin reads one.
  z.config({ jitless: true });
  const folded = fold(schema, json);
  const read = z.safeParse(schema, folded);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw new CniError(ErrorCode.invalidConfig, `${prefix}: ${issue ? sentence(issue, folded) : 'not valid'}`);
}
