import type { Cidr } from '@cni-ts/address/cidr';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes, type Read } from '@cni-ts/netlink/attributes';
import { ip, struct, u8, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';

const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const AF = { 4: 2, 6: 10 } as const;
const RTPROT_BOOT = 3;
const FR_ACT_TO_TBL = 1;

/** struct fib_rule_hdr, include/uapi/linux/fib_rules.h */
const ruleHeader = struct({
  family: u8,
  dstLength: u8,
  srcLength: u8,
  tos: u8,
  table: u8, // 0 when it does not fit: then the attribute has it
  protocol: u8, // of rtmsg; rules have theirs in an attribute
  reserved: u8,
  action: u8,
  flags: u32,
});

/** FRA_*, include/uapi/linux/fib_rules.h. What else a rule asks for is kept as it is. */
const ruleMessage = message(
  ruleHeader,
  attributes('FRA_', { dst: [1, ip], src: [2, ip], priority: [6, u32], tableId: [15, u32] }),
);

/** A policy rule as the kernel lists it. */
export interface Rule {
  /** Where a packet comes from; undefined: from anywhere. */
  readonly source: Cidr | undefined;
  /** The table it is then routed by; 0 for a rule that leads to none. */
  readonly table: number;
  readonly priority: number;
  /** Everything, to delete it by. */
  readonly whole: Read<typeof ruleMessage>;
}

/** A rule to be added: what comes from `source` is routed by `table`. */
export interface NewRule {
  readonly source: Cidr;
  /** 0: the kernel takes one that nobody uses. */
  readonly table: number;
  /** Rules with low numbers are asked first; left out, the kernel puts it before those that others have added. */
  readonly priority?: number | undefined;
}

/** RTM_NEWRULE. A rule that is there already is added once more by kernels that have given it another priority. */
export function addRule(nl: Netlink, { source, table, priority }: NewRule): void {
  const value = {
    family: AF[source.ip.family],
    srcLength: source.prefix,
    table: table < 256 ? table : 0,
    protocol: RTPROT_BOOT,
    action: FR_ACT_TO_TBL,
    src: source.ip,
    priority,
    tableId: table < 256 ? undefined : table,
  };
  const flags = NLM_F.create | NLM_F.exclusive;
  nl.request({ name: 'RTM_NEWRULE', type: RTM_NEWRULE, flags, message: ruleMessage, value });
}

/** Deletes exactly this rule; false if it is gone already (ENOENT). */
export function deleteRule(nl: Netlink, { whole }: Rule): boolean {
  try {
    const value = { ...whole, unknown: (whole.unknown ?? []).filter(({ type }) => type !== FRA_PAD) };
    nl.request({ name: 'RTM_DELRULE', type: RTM_DELRULE, flags: 0, message: ruleMessage, value });
    return true;
  } catch (error) {
    // A kernel whose IPv6 was switched off has no such rules either.
    if (error instanceof SyscallError && ['ENOENT', 'EAFNOSUPPORT'].includes(error.code ?? '')) return false;
    throw error;
  }
}

const FRA_PAD = 18;

/** The rules of a family in the order they are asked. */
export function listRules(nl: Netlink, family: 4 | 6): Rule[] {
  const value = { family: AF[family] };
  const all = nl.dump({ name: 'RTM_GETRULE', type: RTM_GETRULE, flags: 0, message: ruleMessage, value });
  const found: Rule[] = [];
  for (const one of all) {
    if (one.family !== AF[family]) continue;
    found.push({
      source: one.src && { ip: one.src, prefix: one.srcLength ?? 0 },
      table: one.tableId ?? one.table ?? 0,
      priority: one.priority ?? 0,
      whole: one,
    });
  }
  return found;
}
