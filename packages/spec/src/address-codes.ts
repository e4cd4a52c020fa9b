import type { CodeText } from './code-text.ts';

/** What is wrong with addresses, in a configuration or in a store. */
export const addressCodes = {
  CNI2001: {
    title: 'An address cannot be read',
    meaning: 'The plugin refuses the configuration with the first container.',
    why: 'A part is above 255 or begins with a zero, a prefix length is missing or too long, or there is one where none belongs.',
    cure: 'A subnet is written `10.22.0.0/16`, an address `10.22.0.1`.',
  },
  CNI2002: {
    title: 'A subnet has host bits set',
    meaning: 'host-local refuses it.',
    why: "An address of the network was written instead of the network's own, or the prefix is too short.",
    cure: 'Write the network address that is told.',
  },
  CNI2003: {
    title: 'A range has no room',
    meaning: 'No container can get an address, or the first one takes the last.',
    why: 'The subnet has fewer than two host bits, or the gateway is the only address of the range.',
    cure: 'Make the subnet or the range larger: a /24 has room for 253 containers beside the gateway.',
  },
  CNI2004: {
    title: 'A gateway lies outside its subnet',
    meaning: 'Containers cannot reach it, and with `isGateway` the bridge gets an address nobody asks.',
    why: 'The subnet was changed and the gateway was not.',
    cure: 'Write a gateway of the subnet, or leave it out: the first address is taken.',
  },
  CNI2005: {
    title: 'A range lies outside its subnet, or ends before it begins',
    meaning: 'host-local refuses it.',
    why: 'The subnet was changed and the range was not, or start and end are exchanged.',
    cure: 'Write `rangeStart` and `rangeEnd` of the subnet, the lower first.',
  },
  CNI2006: {
    title: 'Ranges of a network overlap',
    meaning: 'host-local refuses them.',
    why: 'A range was copied, or one is part of the other.',
    cure: 'Separate them, or remove the one within the other. Ranges of one set are used one after the other.',
  },
  CNI2007: {
    title: 'Ranges of two networks overlap',
    meaning:
      'Each network counts for itself: two containers of the node can have the same address, and the route to one hides the other.',
    why: "Two files have the same subnet, or one within the other's.",
    cure: 'Give each network a subnet of its own. Networks on separate wires (macvlan on two masters) may share one.',
  },
  CNI2008: {
    title: 'A range set has addresses of both families',
    meaning: 'host-local refuses it: a set gives one address.',
    why: 'IPv4 and IPv6 stand in one inner list.',
    cure: 'Make two sets: `[[{ "subnet": "10.22.0.0/16" }], [{ "subnet": "fd00:22::/64" }]]`.',
  },
  CNI2009: {
    title: 'There is nothing to give addresses from',
    meaning: 'host-local refuses every container.',
    why: 'Neither `subnet` nor `ranges` is written, and there is no capability `ipRanges`.',
    cure: 'Write `subnet`, or `ranges`.',
  },
  CNI2010: {
    title: "A route's gateway is in none of the subnets",
    meaning: 'The kernel refuses the route ("network is unreachable"), and the container fails.',
    why: 'The subnet was changed and the route was not.',
    cure: 'Leave `gw` out: the gateway of the subnet is taken.',
  },
  CNI2020: {
    title: 'A reservation is leaked',
    meaning: 'The address is taken for a container that is gone. With enough of them the range is full.',
    why: 'The node was switched off or booted, the runtime died, or a DEL was lost. The message says which: from before this boot, its namespace is gone, or nobody remembers the attachment.',
    cure: '`cnitool gc NETWORK --stale` tells what would go, and with `--yes` it goes. Or one by one: `cnitool ipam check -o REPORT`, look at it, `cnitool ipam release --from-report REPORT`.',
  },
  CNI2021: {
    title: 'An address is reserved more than once',
    meaning:
      'Two networks, or two folders of one, have given the same address. Where both are reached from this node, one of the containers gets no answers.',
    why: 'Ranges of two networks overlap (CNI2007), or `dataDir` of a network was changed.',
    cure: 'Give each network a range of its own, then attach one of the containers anew.',
  },
  CNI2022: {
    title: 'A reservation lies outside of the ranges',
    meaning: 'The container goes on with an address that the network would not give today.',
    why: 'The range was changed while containers were attached.',
    cure: 'Attach the container anew, or widen the range again.',
  },
  CNI2023: {
    title: 'An address on a link is not reserved',
    meaning: 'The next container may be given the same address; then neither works for sure.',
    why: 'The folder of reservations was emptied by hand, or restored from another time.',
    cure: '`cnitool repair` takes the reservation again; or attach the container anew.',
  },
  CNI2024: {
    title: 'An address on a link is reserved for another',
    meaning: 'Two containers have, or will have, the same address.',
    why: 'Its reservation was removed while it lived, and somebody else got the address.',
    cure: 'Attach one of the two anew.',
  },
  CNI2025: {
    title: 'A file among the reservations is none',
    meaning: 'Its address is given to nobody, unless the file is empty.',
    why: 'Somebody keeps an address aside that way, or a writer died.',
    cure: 'Remove the file if the address is to be given; a gateway or an address of another machine is better left out of the range.',
  },
  CNI2026: {
    title: 'A range is full',
    meaning: 'No more containers can be attached to the network.',
    why: 'Reservations are leaked (CNI2020), or there are more containers than addresses.',
    cure: '`cnitool ipam show NETWORK` tells who holds them; `cnitool gc NETWORK --stale --yes` releases what is leaked. Otherwise add a range.',
  },
  CNI2040: {
    title: 'cluster-agent does not answer',
    meaning:
      'Containers get addresses while blocks of this node have some. When they are full, ADD fails; freed blocks do not return to the cluster.',
    why: 'The agent is not running, its socket is elsewhere, or it hangs.',
    cure: '`systemctl status cluster-agent`, or the log of its DaemonSet. Removing containers needs no agent.',
  },
  CNI2041: {
    title: 'cluster-agent does not reach etcd',
    meaning:
      'Containers get addresses while blocks of this node have some. No block can be claimed or given back, and nobody can tell what other nodes hold.',
    why: 'etcd is down or has lost its majority, an endpoint or a certificate is wrong, or the network is cut.',
    cure: 'The message has what etcd or the network said. `etcdctl endpoint status` from this node, with the settings of the agent.',
  },
  CNI2042: {
    title: 'A block of addresses is lost',
    meaning:
      "etcd has the block no more as this node's: another node may give the same addresses. Containers that have them are named.",
    why: 'The node was fenced while it was away, its claim was removed by hand, or etcd was restored from an older copy.',
    cure: 'Attach the containers that are named anew: the block leaves the list with the last of them.',
  },
  CNI2043: {
    title: "This node's blocks are not confirmed since the boot",
    meaning: 'ADD asks the agent first, and fails while that does not reach etcd. Nothing else is touched.',
    why: 'The node was started and the agent has not yet compared its list with etcd: the node may have been fenced meanwhile.',
    cure: 'Start the agent, and let it reach etcd; it confirms the list by itself.',
  },
  CNI2044: {
    title: "The list of this node's blocks is damaged",
    meaning: 'ADD fails until the agent has written it anew. Addresses in use stay in use.',
    why: 'The file was edited, or the disk lost a part of it.',
    cure: '`systemctl restart cluster-agent`: it writes the list anew from what etcd has.',
  },
  CNI2045: {
    title: 'cluster-agent claims no blocks',
    meaning: 'Containers get addresses while blocks of this node have some, then no more.',
    why: 'Two nodes have one name, the node has lost its disk, or etcd was restored from an older copy and nobody has confirmed that. The message says which.',
    cure: 'For two nodes of one name: give one another name. For a lost disk: `cnitool ipam fence NODE --off` from another node. For a restored etcd: start the agent once with `--accept-restored`.',
  },
  CNI2046: {
    title: 'A reservation lies in no block of this node',
    meaning: 'The container goes on with an address that another node may give as well.',
    why: 'The block was lost and its list removed, files were copied from another node, or a take-over from another plugin was broken off.',
    cure: 'Attach the container anew. After a take-over that was broken off: `cnitool ipam import` again.',
  },
  CNI2047: {
    title: 'A node that is away holds blocks',
    meaning: 'Their addresses are given to nobody else, however long it is away.',
    why: 'The node is off, or its agent is.',
    cure: 'Nothing, if it comes back. If it is off for good: `cnitool ipam fence NODE --off` gives its blocks back at once.',
  },
  CNI2048: {
    title: 'An allocation of whereabouts cannot be read',
    meaning: 'It is not taken over.',
    why: 'The export was edited, or whereabouts left a damaged entry: an offset that is no number or outside of the range, or no container.',
    cure: 'Look at the pool that is named: `kubectl get ippools -A -o yaml`. An entry without a container is of nobody.',
  },
  CNI2049: {
    title: 'An address cannot be taken over',
    meaning: 'Its container goes on with it, but another node may give it too.',
    why: 'Somebody else has it in the cluster by now, or it is reserved for another container here.',
    cure: 'Attach the container anew.',
  },
} as const satisfies Record<string, CodeText>;
