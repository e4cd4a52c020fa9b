/** Settings of one plugin: what contradicts, has no effect, or cannot be. What a plugin refuses itself it says itself. */
import { parseIp } from '@cni-ts/address/ip';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { misspeltWord } from '@cni-ts/spec/nearest-word';
import type { ConfigDocument, Json } from './document.ts';
import { below, type Draft, error, note, warning } from './finding.ts';
import { pluginsOf } from './list-rules.ts';
import { interfacePlugins } from './plugin-types.ts';

/** Paths begin at the plugin. */
type Rule = (plugin: Json, type: string) => Draft[];

const byType: Readonly<Record<string, readonly Rule[]>> = {
  bridge: [gateways, backendOfMasquerade],
  ptp: [needsIpam, backendOfMasquerade],
  portmap: [idle('portMappings', ['runtimeConfig']), masquerading],
  bandwidth: [
    idle('bandwidth', ['ingressRate', 'egressRate', 'ingressBurst', 'egressBurst', 'runtimeConfig']),
  ],
  firewall: [backends],
};

export function settingFindings(document: ConfigDocument): Draft[] {
  const chain = pluginsOf(document);
  const hasIp6 = chain.some(({ json }) =>
    /"(subnet|address)":"[^"]*:/.test(JSON.stringify(memberOf(json, 'ipam') ?? {})),
  );
  return chain.flatMap(({ json, type, path }) => {
    const own = Object.hasOwn(byType, type) ? byType[type]! : [];
    const common: Rule[] = interfacePlugins.includes(type) ? [ipamType, nameServers] : [];
    const found = [...own, ...common].flatMap((rule) => rule(json, type));
    const hasMtu = interfacePlugins.includes(type) || type === 'tuning';
    return below(path, [...found, ...(hasMtu ? mtu(json, hasIp6) : []), ...folders(json)]);
  });
}

const ipamOf = (plugin: Json) => objectMember(plugin, 'ipam') ?? {};
const ipamTypeOf = (plugin: Json) => textMember(ipamOf(plugin), 'type');

function ipamType(plugin: Json): Draft[] {
  const ipam = ipamOf(plugin);
  const keys = Object.keys(ipam);
  const type = memberOf(ipam, 'type');
  if (keys.length === 0 || (type !== undefined && type !== '')) return [];
  // A misspelt one is told by itself.
  if (type === undefined && keys.some((key) => misspeltWord(key, ['type']) !== undefined)) return [];
  return [error('CNI1004', ['ipam', 'type'], 'expected "type", the name of the IPAM plugin')];
}

function needsIpam(plugin: Json): Draft[] {
  if (
    Object.keys(ipamOf(plugin)).length > 0 ||
    (memberOf(plugin, 'ipam') !== undefined && !objectMember(plugin, 'ipam'))
  )
    return [];
  return [error('CNI1004', ['ipam'], 'ptp cannot work without addresses: expected "ipam"')];
}

function gateways(plugin: Json): Draft[] {
  const is = (key: string, value: boolean) => memberOf(plugin, key) === value;
  const found: Draft[] = [];
  if (is('isDefaultGateway', true) && is('isGateway', false)) {
    const message = 'isDefaultGateway makes the bridge a gateway, whatever isGateway says';
    found.push(warning('CNI1015', ['isGateway'], message));
  }
  if (is('forceAddress', true) && !is('isGateway', true) && !is('isDefaultGateway', true)) {
    found.push(note('CNI1015', ['forceAddress'], 'forceAddress has no effect without isGateway'));
  }
  if (ipamTypeOf(plugin) === '' && Object.keys(ipamOf(plugin)).length === 0) {
    for (const key of ['isGateway', 'isDefaultGateway', 'ipMasq']) {
      if (is(key, true)) found.push(warning('CNI1015', [key], `${key} has no effect without ipam`));
    }
  }
  return found;
}

/** Looked at by the plugin only where it masquerades. */
function backendOfMasquerade(plugin: Json): Draft[] {
  const backend = memberOf(plugin, 'ipMasqBackend');
  if (typeof backend !== 'string' || backend === 'iptables' || backend === 'nftables') return [];
  const message = `${JSON.stringify(backend)} is unknown; it can be "iptables" or "nftables"`;
  return [error('CNI1011', ['ipMasqBackend'], message)];
}

function masquerading(plugin: Json): Draft[] {
  if (memberOf(plugin, 'snat') !== false || memberOf(plugin, 'masqAll') !== true) return [];
  return [warning('CNI1015', ['masqAll'], 'masqAll has no effect where snat is false')];
}

function backends(plugin: Json): Draft[] {
  const backend = textMember(plugin, 'backend');
  const others: Readonly<Record<string, readonly string[]>> = {
    firewalldZone: ['iptables', 'nftables'],
    iptablesAdminChainName: ['firewalld', 'nftables'],
  };
  return Object.entries(others).flatMap(([key, deaf]) => {
    if (memberOf(plugin, key) === undefined || !deaf.includes(backend)) return [];
    return [warning('CNI1015', [key], `${key} has no effect with the backend ${backend}`)];
  });
}

/** A plugin that works by a capability, or by keys of its own in its place. */
function idle(capability: string, instead: readonly string[]): Rule {
  return (plugin, type) => {
    const marked = objectMember(plugin, 'capabilities') ?? {};
    if (marked[capability] === true || instead.some((key) => memberOf(plugin, key) !== undefined)) return [];
    const names = Object.keys(marked);
    // A misspelt one is told by itself.
    if (names.some((name) => name !== capability && misspeltWord(name, [capability]) !== undefined))
      return [];
    const path = names.includes(capability) ? ['capabilities', capability] : ['type'];
    return [
      warning('CNI1031', path, `${type} has nothing to do without "capabilities": {"${capability}": true}`),
    ];
  };
}

/** What a link takes (include/uapi/linux/if_ether.h), and what IPv6 needs (RFC 8200, section 5). */
function mtu(plugin: Json, hasIp6: boolean): Draft[] {
  const value = memberOf(plugin, 'mtu');
  if (typeof value !== 'number' || value === 0) return [];
  if (value < 68 || value > 65535) {
    return [error('CNI1021', ['mtu'], `mtu is ${value}, must be 68 to 65535, or 0 for the default`)];
  }
  return value < 1280 && hasIp6 ? [warning('CNI1021', ['mtu'], `mtu is ${value}, and IPv6 needs 1280`)] : [];
}

function nameServers(plugin: Json): Draft[] {
  const servers = memberOf(objectMember(plugin, 'dns'), 'nameservers');
  return (Array.isArray(servers) ? servers : []).flatMap((text: unknown, i) => {
    if (typeof text !== 'string' || parseIp(text)) return [];
    return [warning('CNI2001', ['dns', 'nameservers', i], `${JSON.stringify(text)} is no address`)];
  });
}

/** Runtimes start plugins in whatever folder they are in themselves. */
function folders(plugin: Json): Draft[] {
  const places = [
    { json: plugin, path: ['dataDir'] },
    { json: ipamOf(plugin), path: ['ipam', 'dataDir'] },
    { json: ipamOf(plugin), path: ['ipam', 'resolvConf'] },
  ];
  return places.flatMap(({ json, path }) => {
    const value = textMember(json, path.at(-1) ?? '');
    if (value === '' || value.startsWith('/')) return [];
    return [
      warning(
        'CNI1011',
        path,
        `${JSON.stringify(value)} is no path from the root: it depends on the runtime's own folder`,
      ),
    ];
  });
}
