/** The kernel's part of an attachment, without any start of a program, decision or JSON: the least it can take. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseCidr } from '@cni-ts/address/cidr';
import { Command } from '@cni-ts/libc/child';
import { lockFile } from '@cni-ts/libc/file-lock';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { masquerade } from '@cni-ts/nftables/action';
import { addChain, type Chain } from '@cni-ts/nftables/chain';
import { daddr, saddr } from '@cni-ts/nftables/match';
import { addRule, deleteRule, listRules, rule } from '@cni-ts/nftables/rule';
import { addTable, type Table } from '@cni-ts/nftables/table';
import { transaction } from '@cni-ts/nftables/transaction';
import { addAddress } from '@cni-ts/rtnetlink/address';
import { createLink, deleteLink, findLink, getLink, setMaster } from '@cni-ts/rtnetlink/link';
import { addRoute } from '@cni-ts/rtnetlink/route';
import type { Host } from './host.ts';
import type { Sample } from './scenario.ts';

/** What is made for an address besides, and taken away again. */
interface Extra {
  add(): void;
  remove(): void;
}

const nothing = new Command('/bin/true', [], {});

/** How long the start of an empty program takes, in milliseconds: the least for any start, and the same in every
 *  scenario, so that it tells whether the machine was busy. */
export function emptyProgram(host: Host): number {
  return host.start(nothing, '').wait().wall;
}

/** ADD and DEL of a bridge port with an address of host-local. The bridge stays, as it does with plugins. */
export function bridgeFloor(host: Host, bridge: string, extra?: Extra): Sample[] {
  const outside = Netlink.open('route', host.netns);
  if (!findLink(outside, bridge)) {
    createLink(outside, { name: bridge, info: { kind: 'bridge' }, up: true });
    addAddress(outside, getLink(outside, bridge), cidr('10.22.0.1/16'));
  }
  const path = host.container(0);
  const folder = join(host.dataDir, 'floor');
  mkdirSync(folder, { recursive: true });
  const add = timed(() => {
    const netns = Netns.open(path);
    const inside = Netlink.open('route', netns);
    reserve(folder);
    createLink(inside, {
      name: 'eth0',
      up: true,
      info: { kind: 'veth', data: { peer: { ifname: 'veth0', netnsFd: host.netns.fd } } },
    });
    const port = getLink(outside, 'veth0');
    setMaster(outside, port, getLink(outside, bridge).index, { up: true });
    const link = getLink(inside, 'eth0');
    addAddress(inside, link, cidr('10.22.0.2/16'));
    addRoute(inside, { dst: cidr('0.0.0.0/0'), gateway: cidr('10.22.0.1/16').ip, link });
    extra?.add();
    inside.close();
    netns.close();
  });
  const del = timed(() => {
    const netns = Netns.open(path);
    const inside = Netlink.open('route', netns);
    deleteLink(inside, 'eth0');
    extra?.remove();
    release(folder);
    inside.close();
    netns.close();
  });
  outside.close();
  return [
    { of: 'ADD', unit: 'ms', value: add },
    { of: 'DEL', unit: 'ms', value: del },
  ];
}

/** The same with a masquerade rule: one transaction to add it, a list and one transaction to delete it. */
export function masqueradeFloor(host: Host, bridge: string): Sample[] {
  const nl = Netlink.open('netfilter', host.netns);
  const table: Table = { family: 'inet', name: 'floor' };
  const chain: Chain = {
    table,
    name: 'postrouting',
    base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
  };
  transaction(nl, [addTable(table), addChain(chain)]);
  const own = rule(saddr(cidr('10.22.0.2/16').ip), daddr('!=', cidr('10.22.0.0/16')), masquerade);
  const samples = bridgeFloor(host, bridge, {
    add: () => transaction(nl, [addRule(chain, own)]),
    remove: () =>
      transaction(
        nl,
        listRules(nl, table).map((one) => deleteRule(table, one)),
      ),
  });
  nl.close();
  return samples;
}

/** ADD and DEL of host-local: the lock and the files. */
export function hostLocalFloor(host: Host): Sample[] {
  const folder = join(host.dataDir, 'floor');
  mkdirSync(folder, { recursive: true });
  return [
    { of: 'ADD', unit: 'ms', value: timed(() => reserve(folder)) },
    { of: 'DEL', unit: 'ms', value: timed(() => release(folder)) },
  ];
}

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

/** The address's file and the cursor under the lock, as host-local writes them. */
function reserve(folder: string): void {
  const { unlock } = lockFile(join(folder, 'lock'), 0o644);
  write(join(folder, '10.22.0.2'), 'wx', 'container-0\r\neth0');
  write(join(folder, 'last_reserved_ip.0'), 'w', '10.22.0.2');
  unlock();
}

function write(file: string, flags: string, text: string): void {
  const fd = openSync(file, flags, 0o644);
  writeSync(fd, text);
  closeSync(fd);
}

function release(folder: string): void {
  const { unlock } = lockFile(join(folder, 'lock'), 0o644);
  rmSync(join(folder, '10.22.0.2'));
  unlock();
}

function cidr(text: string) {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`${text} is no address with prefix`);
  return parsed;
}
