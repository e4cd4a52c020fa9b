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
} as const satisfies Record<string, CodeText>;
