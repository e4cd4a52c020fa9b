import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { changeLink } from './change-link.ts';
import { createLink, findLink, getLink, IFF_UP } from './link.ts';

let [host, container]: Netns[] = [];
let [outside, inside]: Netlink[] = [];
beforeEach(() => {
  [host, container] = [Netns.create(), Netns.create()];
  [outside, inside] = [Netlink.open('route', host), Netlink.open('route', container)];
  createLink(outside!, { name: 'd0', info: { kind: 'veth', data: { peer: { ifname: 'p0' } } } });
});
afterEach(() => {
  for (const one of [outside, inside, host, container]) one?.close();
});

test('a link is moved, renamed and labelled in one request, and its alias is taken away again', () => {
  const change = { netnsFd: container!.fd, name: 'eth0', ifAlias: 'd0' };
  changeLink(outside!, getLink(outside!, 'd0'), change);
  expect(findLink(outside!, 'd0')).toBeUndefined();
  const moved = getLink(inside!, 'eth0');
  expect(moved.attributes.ifAlias).toBe('d0');
  changeLink(inside!, moved, { ifAlias: '', flags: IFF_UP, mask: IFF_UP, mtu: 1400 });
  const changed = getLink(inside!, 'eth0');
  expect([changed.attributes.ifAlias, changed.flags & IFF_UP, changed.mtu]).toEqual([
    undefined,
    IFF_UP,
    1400,
  ]);
});

test('a link without an index is refused before the kernel is asked, which would go by the name', () => {
  createLink(outside!, { name: 'eth0', info: { kind: 'bridge' } });
  const change = { netnsFd: container!.fd, name: 'eth0' };
  expect(() => changeLink(outside!, { index: 0 }, change)).toThrow('no link has the index 0');
  expect(findLink(outside!, 'eth0')).toBeDefined();
});

test('a name that the kernel takes for a template is refused', () => {
  expect(() => changeLink(outside!, getLink(outside!, 'd0'), { name: 'eth%d' })).toThrow(
    'no name for a link',
  );
});
