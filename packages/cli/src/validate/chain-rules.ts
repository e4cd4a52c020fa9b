/** How plugins of a list stand to each other, and settings of one that contradict. */
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
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
  return [
    ...order(chain, document.kind === 'single'),
    ...repetitions(chain),
    ...chain.flatMap((one) => [...idle(one), ...contradictions(one, chain)]),
  ];
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

/** Plugins that get nothing to do. */
function idle({ type, json, path }: Member): Draft[] {
  const marked = objectMember(json, 'capabilities') ?? {};
  const given = objectMember(json, 'runtimeConfig') ?? {};
  const has = (name: string) => marked[name] === true || name in given;
  const missing = (name: string) =>
    warning(
      'CNI1031',
      [...path, 'type'],
      `${type} has nothing to do without "capabilities": {"${name}": true}`,
    );
  if (type === 'portmap' && !has('portMappings')) {
    // A misspelt one is told by itself.
    return Object.keys(marked).length > 0 ? [] : [missing('portMappings')];
  }
  const rates = ['ingressRate', 'egressRate', 'ingressBurst', 'egressBurst'];
  if (
    type === 'bandwidth' &&
    !has('bandwidth') &&
    rates.every((rate) => memberOf(json, rate) === undefined)
  ) {
    return Object.keys(marked).length > 0 ? [] : [missing('bandwidth')];
  }
  return [];
}

function contradictions({ type, json, path }: Member, chain: readonly Member[]): Draft[] {
  const is = (key: string, value: unknown) => memberOf(json, key) === value;
  const at = (key: string) => [...path, key];
  const ipam = objectMember(json, 'ipam');
  const found: Draft[] = [];
  if (
    interfacePlugins.includes(type) &&
    ipam &&
    Object.keys(ipam).length > 0 &&
    memberOf(ipam, 'type') === undefined
  ) {
    const misspelt = Object.keys(ipam).some((key) => /^(tpye|typ|tyep|ytpe|types?|tpe|tye|ype)$/i.test(key));
    if (!misspelt)
      found.push(error('CNI1004', [...path, 'ipam', 'type'], 'expected "type", the name of the IPAM plugin'));
  }
  if (type === 'ptp' && (ipam === undefined || Object.keys(ipam).length === 0)) {
    found.push(error('CNI1004', [...path, 'ipam'], 'ptp cannot work without addresses: expected "ipam"'));
  }
  if (type === 'bridge') {
    if (is('isDefaultGateway', true) && is('isGateway', false)) {
      found.push(
        warning(
          'CNI1015',
          at('isGateway'),
          'isDefaultGateway makes the bridge a gateway, whatever isGateway says',
        ),
      );
    }
    if (is('forceAddress', true) && !is('isGateway', true) && !is('isDefaultGateway', true)) {
      found.push(note('CNI1015', at('forceAddress'), 'forceAddress has no effect without isGateway'));
    }
  }
  if (type === 'portmap' && is('snat', false) && is('masqAll', true)) {
    found.push(warning('CNI1015', at('masqAll'), 'masqAll has no effect where snat is false'));
  }
  if (type === 'firewall') {
    const backend = textMember(json, 'backend');
    if (memberOf(json, 'firewalldZone') !== undefined && ['iptables', 'nftables'].includes(backend)) {
      found.push(
        warning('CNI1015', at('firewalldZone'), `firewalldZone has no effect with the backend ${backend}`),
      );
    }
    if (
      memberOf(json, 'iptablesAdminChainName') !== undefined &&
      ['firewalld', 'nftables'].includes(backend)
    ) {
      const message = `iptablesAdminChainName has no effect with the backend ${backend}`;
      found.push(warning('CNI1015', at('iptablesAdminChainName'), message));
    }
  }
  found.push(...mtuFindings({ type, json, path }, chain));
  return found;
}

/** What a link takes (include/uapi/linux/if_ether.h), and what IPv6 needs (RFC 8200, section 5). */
function mtuFindings({ type, json, path }: Member, chain: readonly Member[]): Draft[] {
  const mtu = memberOf(json, 'mtu');
  const isKnown = interfacePlugins.includes(type) || type === 'tuning';
  if (!isKnown || typeof mtu !== 'number' || mtu === 0) return [];
  const place = [...path, 'mtu'];
  if (mtu < 68 || mtu > 65535)
    return [error('CNI1021', place, `mtu is ${mtu}, must be 68 to 65535, or 0 for the default`)];
  const hasIp6 = chain.some((one) =>
    /"(subnet|address)":"[^"]*:/.test(JSON.stringify(objectMember(one.json, 'ipam') ?? {})),
  );
  if (mtu < 1280 && hasIp6) return [warning('CNI1021', place, `mtu is ${mtu}, and IPv6 needs 1280`)];
  return [];
}
