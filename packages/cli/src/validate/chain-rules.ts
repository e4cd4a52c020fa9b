/** How plugins of a list stand to each other. */
import { objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import type { ConfigDocument, Json } from './document.ts';
import { type Draft, error, note, warning } from './finding.ts';
import { pluginsOf } from './list-rules.ts';
import { chainedPlugins, interfacePlugins, ipamPlugins } from './plugin-types.ts';

interface Member {
  readonly json: Json;
  readonly type: string;
  readonly path: Draft['path'];
}

export function chainFindings(document: ConfigDocument): Draft[] {
  const chain = pluginsOf(document);
  return [...order(chain, document.kind === 'single'), ...repetitions(chain)];
}

/** A single configuration may be a part of a list that somebody puts together, and a list of tuning alone is one for trying. */
function order(chain: readonly Member[], isSingle: boolean): Draft[] {
  const isPart = isSingle || (chain.length === 1 && chain[0]?.type === 'tuning');
  const found: Draft[] = [];
  const giver = chain.findIndex(givesAddresses);
  const [first] = chain;
  for (const [i, { type, path }] of chain.entries()) {
    const place = [...path, 'type'];
    if (ipamPlugins.includes(type)) {
      found.push(
        error('CNI1032', place, `${type} gives addresses to an interface plugin: it belongs into its "ipam"`),
      );
    }
    if (!chainedPlugins.includes(type)) continue;
    if (i === 0) {
      const message = `${type} works on the interface that a plugin before it made, and it is the first`;
      found.push((isPart ? note : error)('CNI1032', place, message));
    } else if (['portmap', 'firewall', 'sbr'].includes(type)) {
      if (giver > i) {
        const message = `${type} stands before ${chain[giver]?.type}, which gives the addresses that it works on`;
        found.push(error('CNI1032', place, message));
      } else if (giver < 0 && type !== 'firewall' && first !== undefined) {
        found.push(
          warning('CNI1032', place, `${type} works on addresses, and no plugin before it gives any`),
        );
      }
    }
    if (type === 'sbr' && chain.slice(0, i).some((one) => one.type === 'vrf')) {
      const message =
        'sbr stands after vrf, which has moved the routes that sbr would move; put sbr first or leave one out';
      found.push(warning('CNI1033', place, message));
    }
    if (
      type === 'firewall' &&
      ['same-bridge', 'isolated'].includes(textMember(chain[i]?.json, 'ingressPolicy'))
    ) {
      const before = chain.slice(0, i);
      if (
        before.every((one) => interfacePlugins.includes(one.type) && one.type !== 'bridge') &&
        before.length > 0
      ) {
        found.push(
          error(
            'CNI1015',
            [...path, 'ingressPolicy'],
            'the policy is about a bridge, and no bridge plugin stands before',
          ),
        );
      }
    }
  }
  return found;
}

/** Of a plugin nobody knows it is supposed. */
function givesAddresses({ type, json }: Member): boolean {
  if (textMember(objectMember(json, 'ipam'), 'type') !== '') return true;
  return ![...interfacePlugins, ...chainedPlugins, 'loopback'].includes(type);
}

function repetitions(chain: readonly Member[]): Draft[] {
  const found: Draft[] = [];
  for (const [i, { type, path }] of chain.entries()) {
    const before = chain.slice(0, i);
    if (chainedPlugins.includes(type) && before.some((one) => one.type === type)) {
      found.push(warning('CNI1034', [...path, 'type'], `${type} stands twice in this list`));
    }
    const other = before.find((one) => interfacePlugins.includes(one.type));
    if (interfacePlugins.includes(type) && other) {
      const message = `${type} and ${other.type} would both make the container's interface, which has one name`;
      found.push(error('CNI1034', [...path, 'type'], message));
    }
  }
  return found;
}
