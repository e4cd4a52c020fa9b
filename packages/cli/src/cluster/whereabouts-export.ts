/** What `kubectl get ippools.whereabouts.cni.cncf.io -A -o json|yaml` prints: pools, each with its allocations by their offset
 *  from the pool's range. (whereabouts: pkg/api/…/ippool_types.go, toIPReservationList of pkg/storage/kubernetes.) */
import { contains, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip } from '@cni-ts/address/ip';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { FAILSAFE_SCHEMA, loadAll } from 'js-yaml';
import type { Json } from '../validate/document.ts';

export interface Allocation {
  readonly pool: string;
  readonly ip: Ip;
  readonly address: string;
  readonly containerId: string;
  /** `namespace/pod`; '' in allocations of old releases. */
  readonly podRef: string;
  /** '' in allocations of releases before 0.7. */
  readonly ifname: string;
}

export interface Export {
  readonly pools: number;
  readonly allocations: readonly Allocation[];
  /** Sentences that name pool and entry. */
  readonly damaged: readonly string[];
  /** How many objects there are of other kinds, which are not needed. */
  readonly passedOver: ReadonlyMap<string, number>;
}

/** Throws for what is neither JSON nor YAML. */
export function readExport(text: string): Export {
  // A text of YAML stays a text: an ID of digits alone is no number.
  const documents: unknown[] = /^\s*[{[]/.test(text)
    ? [JSON.parse(text)]
    : loadAll(text, null, { schema: FAILSAFE_SCHEMA });
  const reading = new Reading();
  for (const one of documents) reading.object(one);
  return reading;
}

class Reading implements Export {
  pools = 0;
  readonly allocations: Allocation[] = [];
  readonly damaged: string[] = [];
  readonly passedOver = new Map<string, number>();

  object(json: unknown): void {
    const items = memberOf(json, 'items');
    const kind = textMember(json, 'kind');
    if (Array.isArray(items)) for (const one of items) this.object(one);
    else if (kind === 'IPPool') this.#pool(json);
    else if (json !== null && json !== undefined) {
      const name = kind || 'an object without a kind';
      this.passedOver.set(name, (this.passedOver.get(name) ?? 0) + 1);
    }
  }

  #pool(json: unknown): void {
    this.pools++;
    const metadata = objectMember(json, 'metadata');
    const namespace = textMember(metadata, 'namespace');
    const pool = `${namespace === '' ? '' : `${namespace}/`}${textMember(metadata, 'name') || '(without a name)'}`;
    const spec = objectMember(json, 'spec');
    const range = parseCidr(textMember(spec, 'range'));
    if (!range) {
      this.damaged.push(
        `pool ${pool}: its range ${JSON.stringify(memberOf(spec, 'range') ?? '')} is no subnet`,
      );
      return;
    }
    const allocations = objectMember(spec, 'allocations') ?? {};
    const offsets = Object.keys(allocations).toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
    for (const offset of offsets) {
      const entry = objectMember(allocations, offset);
      const damaged = (why: string) => this.damaged.push(`pool ${pool}, allocation ${offset}: ${why}`);
      const ip = /^\d{1,39}$/.test(offset) ? added(range.ip, BigInt(offset)) : undefined;
      if (!/^\d{1,39}$/.test(offset)) damaged('its offset is no number');
      else if (!ip || !contains(range, ip)) damaged(`it is outside of ${textMember(spec, 'range')}`);
      else if (textMember(entry, 'id').trim() === '') {
        damaged(`${formatIp(ip)} is of no container: it has no id`);
      } else this.#allocation(pool, ip, entry, damaged);
    }
  }

  #allocation(pool: string, ip: Ip, entry: Json | undefined, damaged: (why: string) => void): void {
    const address = formatIp(ip);
    const one = {
      pool,
      ip,
      address,
      containerId: textMember(entry, 'id').trim(),
      podRef: textMember(entry, 'podref'),
      ifname: textMember(entry, 'ifname'),
    };
    const before = this.allocations.find((other) => other.pool === pool && other.address === address);
    if (before) damaged(`${address} stands twice, also for container ${before.containerId}`);
    else this.allocations.push(one);
  }
}

/** The address so far after this one; undefined past the last of the family. */
function added({ family, bytes }: Ip, offset: bigint): Ip | undefined {
  const sum = new Uint8Array(bytes);
  let rest = offset;
  for (let i = sum.length - 1; i >= 0 && rest > 0n; i--) {
    rest += BigInt(sum[i] ?? 0);
    sum[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return rest > 0n ? undefined : { family, bytes: sum };
}
