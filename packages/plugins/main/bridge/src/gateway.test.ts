import { formatCidr } from '@cni-ts/address/cidr';
import { describe, expect, test } from 'vitest';
import { planAddressing } from './gateway.ts';

const l3 = { isGateway: false, isDefaultGateway: false };
const gateway = { isGateway: true, isDefaultGateway: false };
const defaultGateway = { isGateway: true, isDefaultGateway: true };

function plan(
  config: typeof l3,
  ips: { address: string; gateway?: string }[],
  routes: { dst: string; gw?: string; table?: number }[] = [],
) {
  const { ips: planned, routes: to, gateways } = planAddressing(config, { ips, routes }, 2);
  return { ips: planned, routes: to, gateways: gateways.map(formatCidr) };
}

describe('addresses', () => {
  test('all belong to the container link and keep the gateway IPAM gave', () => {
    expect(plan(l3, [{ address: '10.1.2.2/24', gateway: '10.1.2.254' }]).ips).toEqual([
      { address: '10.1.2.2/24', gateway: '10.1.2.254', interface: 2 },
    ]);
  });

  test('a gateway is worked out only where the host is one: network address plus one', () => {
    expect(plan(l3, [{ address: '10.1.2.2/24' }]).ips[0]).not.toHaveProperty('gateway');
    expect(plan(gateway, [{ address: '10.1.2.2/24' }]).ips[0]?.gateway).toBe('10.1.2.1');
    expect(plan(gateway, [{ address: '2001:db8::7/64' }]).ips[0]?.gateway).toBe('2001:db8::1');
  });

  test('on a /31 and a /32 the worked out gateway is still network address plus one (bridge 38)', () => {
    expect(plan(gateway, [{ address: '10.1.2.7/31' }]).ips[0]?.gateway).toBe('10.1.2.7');
    expect(plan(gateway, [{ address: '10.1.2.7/32' }]).ips[0]?.gateway).toBe('10.1.2.8');
  });
});

describe('gateways on the host', () => {
  test('have the prefix of the address they serve, IPv4 before IPv6', () => {
    const ips = [{ address: '2001:db8::2/64' }, { address: '10.1.2.2/24', gateway: '10.1.2.9' }];
    expect(plan(gateway, ips).gateways).toEqual(['10.1.2.9/24', '2001:db8::1/64']);
  });

  test('there are none where the network is not a gateway', () => {
    expect(plan(l3, [{ address: '10.1.2.2/24', gateway: '10.1.2.1' }]).gateways).toEqual([]);
  });
});

describe('default routes', () => {
  const ips = [{ address: '10.1.2.2/24' }, { address: '10.1.3.2/24' }, { address: '2001:db8::2/64' }];

  test('one per family is appended, by the first address of the family', () => {
    expect(plan(defaultGateway, ips, [{ dst: '10.9.0.0/16' }]).routes).toEqual([
      { dst: '10.9.0.0/16' },
      { dst: '0.0.0.0/0', gw: '10.1.2.1' },
      { dst: '::/0', gw: '2001:db8::1' },
    ]);
  });

  test('one with a gateway from IPAM stays as it is (bridge 5)', () => {
    const own = { dst: '0.0.0.0/0', gw: '10.1.2.254' };
    expect(plan(defaultGateway, ips.slice(0, 1), [own]).routes).toEqual([own]);
  });

  test('one without gateway from IPAM is completed, not doubled (bridge 6)', () => {
    expect(plan(defaultGateway, ips.slice(0, 1), [{ dst: '0.0.0.0/0' }]).routes).toEqual([
      { dst: '0.0.0.0/0', gw: '10.1.2.1' },
    ]);
  });

  test('one in another table does not count', () => {
    const other = { dst: '0.0.0.0/0', gw: '10.1.2.1', table: 100 };
    expect(plan(defaultGateway, ips.slice(0, 1), [other]).routes).toHaveLength(2);
  });

  test('without isDefaultGateway IPAM routes are passed on untouched (bridge 7)', () => {
    expect(plan(gateway, ips.slice(0, 1), [{ dst: '0.0.0.0/0' }]).routes).toEqual([{ dst: '0.0.0.0/0' }]);
  });
});

test('an address that is none is named by its place', () => {
  expect(() => plan(gateway, [{ address: '10.1.2.2' }])).toThrow(
    'ips[0].address: invalid CIDR address: 10.1.2.2',
  );
});
