/**
 * What the operator's tool and the plugins' VALIDATE can find, by code: CNI1xxx configuration, CNI2xxx addresses, CNI3xxx
 * the kernel of this node, CNI4xxx runtime and plugins. A code keeps its meaning for ever; one that is given up is not
 * given to another. docs/codes/ has a page for each, which `npm run build` writes from this table.
 */
export interface CodeText {
  /** In a few words, as a title. */
  readonly title: string;
  /** What it means for whoever runs containers on that network. */
  readonly meaning: string;
  /** Why it happens. */
  readonly why: string;
  readonly cure: string;
}

export const findingCodes = {
  CNI1001: {
    title: 'The text is no JSON',
    meaning:
      'Nothing of the file is used. Runtimes skip it or give up on the whole folder, and none says where it is wrong.',
    why: 'A comma too many or too few, a quote or a bracket that is missing, a comment, a file that was cut short.',
    cure: 'Look at the line and column that are told: what was expected there comes first, then what is there. JSON has no comments and no comma before a closing bracket.',
  },
  CNI1002: {
    title: 'The file is no network configuration',
    meaning: 'A configuration is one JSON object: a list with `plugins`, or a single plugin with `type`.',
    why: 'The file has something else in it, or a list has the extension of a single configuration (`.conf`, `.json`), or the other way round.',
    cure: 'Name a list `….conflist`; write `plugins` or `type`.',
  },
  CNI1003: {
    title: 'A key stands twice in an object',
    meaning: 'Only the last one counts, without a word from any runtime.',
    why: 'A block was copied, or two people added the same setting.',
    cure: 'Remove one of the two. What has been in force so far is the last one.',
  },
  CNI1004: {
    title: 'A key that must be there is missing',
    meaning: 'The network cannot be loaded, or its plugin refuses every container.',
    why: 'It was left out, misspelt, or stands in another object.',
    cure: 'Add the key that is named.',
  },
  CNI1005: {
    title: 'The name of the network cannot be used',
    meaning:
      'The name becomes part of file names: it begins with a letter or digit and goes on with letters, digits, `_`, `.` and `-`.',
    why: 'It has a space, a slash or another character in it, or is empty.',
    cure: 'Choose another name, such as `web-1`. Remove the containers that are attached under the old name first: a DEL goes by the name.',
  },
  CNI1006: {
    title: 'cniVersion is no version of the specification',
    meaning: 'Plugins refuse the configuration, or take it for an older version.',
    why: 'The versions are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0, always with three numbers. It is not the version of a plugin or of a runtime.',
    cure: 'Write the highest that all plugins of the list speak (CNI4002 tells it).',
  },
  CNI1007: {
    title: 'The list has no plugins',
    meaning: 'The network cannot be loaded.',
    why: '`plugins` is missing, empty or no list, and beside the file is no folder of the name of the network with `*.conf`.',
    cure: 'Write at least one plugin.',
  },
  CNI1008: {
    title: 'No cniVersion is given',
    meaning:
      '0.1.0 counts: one address for each family, no CHECK, no GC, and nothing is handed from plugin to plugin.',
    why: 'Old examples have none.',
    cure: 'Write `"cniVersion": "1.0.0"`, or the highest that all plugins speak.',
  },
  CNI1010: {
    title: 'A value is of the wrong kind',
    meaning: 'The plugin refuses the configuration with the first container.',
    why: 'A number in quotes, `"true"` for `true`, one value where a list is expected, an object where a list of objects is.',
    cure: 'Write what is expected at that place: `1500` and not `"1500"`, `true` and not `"true"`, `[…]` where several may stand.',
  },
  CNI1011: {
    title: 'A value is not allowed here',
    meaning: 'The plugin refuses the configuration with the first container.',
    why: 'A misspelt word of a field that knows a few, or a number outside its limits.',
    cure: 'Take one of the values that are named.',
  },
  CNI1012: {
    title: 'A key is misspelt',
    meaning:
      'Plugins pass over keys they do not know, so the setting has no effect and nobody says so: a misspelt `ipMasq` is a node without a way out.',
    why: 'The key is no one of the plugin, and one of the plugin is near.',
    cure: 'Write the key that is meant. A key of your own begins with `_` or `x-`, or has a dot or slash in it.',
  },
  CNI1013: {
    title: 'A key is unknown',
    meaning:
      'This version of the plugin passes over it. That is harmless for a comment or a label of another program.',
    why: 'It belongs to another plugin, to another place of the configuration, or to a newer or older version.',
    cure: 'Nothing, where that is intended. Begin a key of your own with `_` or `x-`, and it is no longer told.',
  },
  CNI1014: {
    title: 'The plugin refuses its configuration',
    meaning: 'The first container on this network would get this error.',
    why: "The message is the plugin's own: what it would answer to ADD.",
    cure: 'Follow the message. It stands at the place that it is about, as far as that can be told.',
  },
  CNI1015: {
    title: 'Settings contradict each other',
    meaning: 'The plugin refuses them together, or one of them has no effect.',
    why: 'Both were set, each for a reason of its own.',
    cure: 'Decide for one of them. The message names both; the README of the plugin says which of its fields go together.',
  },
  CNI1020: {
    title: 'A VLAN ID is outside 1 to 4094',
    meaning: 'The kernel has no such VLAN; 0 and 4095 are reserved by IEEE 802.1Q.',
    why: 'A number of another kind was taken, or a digit is too many.',
    cure: 'Write an ID from 1 to 4094.',
  },
  CNI1021: {
    title: 'No link can have that MTU',
    meaning: 'The kernel refuses the link, or IPv6 does not work on it.',
    why: 'An MTU is 68 to 65535; 0 or nothing is the default.',
    cure: 'Write the MTU of the link that packets leave the node by, or less.',
  },
  CNI1022: {
    title: 'No link can have that name',
    meaning: 'The kernel refuses the link.',
    why: 'A name has at most 15 bytes, no white space, no `/`, `:` or `%`, and is not `.`, `..`, `all` or `default`.',
    cure: 'Shorten the name, or take out the character that is told.',
  },
  CNI1023: {
    title: 'A MAC address cannot be read',
    meaning: 'The plugin refuses the configuration.',
    why: 'A MAC has six pairs of hexadecimal digits with colons between them; the first byte of one for a link is even.',
    cure: 'Write it as `02:00:00:00:00:01`.',
  },
  CNI1030: {
    title: 'A capability that the plugin does not use',
    meaning:
      'The runtime hands the plugin values that it passes over: ports are not published, addresses not given.',
    why: 'The capability stands at the wrong plugin of the list, or is misspelt.',
    cure: 'Move it to the plugin that uses it: `portMappings` to portmap, `bandwidth` to bandwidth, `mac` to tuning or an interface plugin, `ips` and `ipRanges` to the plugin whose IPAM takes them.',
  },
  CNI1031: {
    title: 'The plugin gets nothing to do',
    meaning:
      'It is called for each container, and does nothing: what it works by comes by a capability that it does not have.',
    why: 'The plugin has no `capabilities`, or the one it needs is false.',
    cure: 'Write `"capabilities": { "portMappings": true }` for portmap, and so on.',
  },
  CNI1032: {
    title: 'A plugin stands before what it needs',
    meaning: 'A chained plugin works on what those before it made. Before them it fails, or does nothing.',
    why: 'portmap, firewall, bandwidth, tuning, sbr and vrf belong after the plugin that makes the interface.',
    cure: 'Put the plugin that makes the interface and gives addresses first.',
  },
  CNI1033: {
    title: 'Plugins stand in an order in which one undoes the other',
    meaning: 'Routes end in another table than the one that is asked.',
    why: 'sbr moves routes to tables of its own; vrf moves the link, and all its routes, to the table of the VRF.',
    cure: 'Use one of both, or put vrf last.',
  },
  CNI1034: {
    title: 'A plugin stands twice in a list',
    meaning:
      'Both are called for each container, with the same names for what they make: the second finds its own things there.',
    why: 'A block was copied.',
    cure: 'Remove one of the two, or join their settings in one.',
  },
  CNI1040: {
    title: 'Two files define the same network',
    meaning:
      "The first by name counts, lists (`.conflist`) before single configurations; the other has no effect. With a runtime that looks at both, containers of the two take each other's addresses.",
    why: 'A file was copied as a backup, or two installers wrote theirs.',
    cure: 'Remove one, rename it to another extension, or give its network another name.',
  },
  CNI1041: {
    title: 'The file does not count',
    meaning:
      'Runtimes read `*.conflist`, `*.conf` and `*.json` of the folder, in the order of their names, and no other.',
    why: 'The extension is another one, such as `.bak` or `.yaml`.',
    cure: 'Nothing, where that is intended. Otherwise name the file `‹number›-‹network›.conflist`.',
  },
  CNI1042: {
    title: 'Two networks share a bridge and do not agree on it',
    meaning:
      'The second network\'s containers fail: "cni0 already has an IP address different from …", or one network\'s setting wins by chance.',
    why: 'Both name the same `bridge` (which is `cni0` where nothing is written) and have different subnets or settings for it.',
    cure: 'Give each network a bridge of its own.',
  },
  CNI1043: {
    title: 'Two networks want what one master cannot be for both',
    meaning:
      'The first container decides; those of the other network fail with "device or resource busy" as long as it lives.',
    why: 'A link carries macvlan or ipvlan, not both, and of macvlan in mode passthru just one.',
    cure: 'Use one kind for both networks, or VLANs of the master (the vlan plugin, or links made beforehand) as masters.',
  },
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
  CNI3001: {
    title: 'The master is not on this node',
    meaning: 'Every container on this network fails here.',
    why: 'The link has another name on this node, or comes up later.',
    cure: 'See `ip link`; name the link that is there, or leave `master` out to take the one of the default route.',
  },
  CNI3002: {
    title: 'The master is a port of another link',
    meaning:
      'What arrives there goes to the bridge or bond: the kernel refuses links on it, or they hear nothing.',
    why: 'The link was put into a bridge or bond.',
    cure: 'Name the bridge or bond itself as master.',
  },
  CNI3003: {
    title: 'The MTU is above that of the way out',
    meaning:
      'Large packets vanish where ICMP is filtered: connections open and then hang. On top of a master the kernel refuses it.',
    why: "The uplink is a tunnel, or a cloud's network with 1450 or 1460.",
    cure: 'Write the MTU that is told, or less.',
  },
  CNI3004: {
    title: 'A port of the host is answered by the wrong container',
    meaning:
      'Whoever connects to the port reaches another container than the one that published it, or nobody at all.',
    why: 'The rule of a container that was removed without DEL is still there, or somebody added one by hand: the first that fits has the packet.',
    cure: 'Take the rule away that comes first: `cnitool gc NETWORK --stale` where it is of a container that is gone, else the command that is told.',
  },
  CNI3005: {
    title: 'What an attachment had is not so any more',
    meaning: 'The container has less of a network than ADD gave it.',
    why: 'Another program, or a person, took away a link, an address, a route, a qdisc or a rule, or switched a link off.',
    cure: '`cnitool repair --plan` shows what is missing, `cnitool repair` makes it again; connections live on.',
  },
  CNI3006: {
    title: 'Rules of an attachment are missing',
    meaning: 'Its ports are not published, or its packets are not masqueraded or not let through.',
    why: 'Somebody deleted rules or flushed a chain.',
    cure: '`cnitool repair --plan` shows them, `cnitool repair` makes them again.',
  },
  CNI3007: {
    title: 'A table or chain of rules is missing',
    meaning:
      'Nothing of what stood in it works for any container: ports, masquerading, what a firewall lets through.',
    why: '`nft flush ruleset`, `iptables -F`, or a firewall that was loaded anew.',
    cure: '`cnitool repair --plan` shows what is missing, `cnitool repair` makes it again; connections live on.',
  },
  CNI3010: {
    title: 'Strict source checks drop packets of a second interface',
    meaning:
      'What comes in by one interface is dropped where the way back leads out by another: answers are missing, only in one direction.',
    why: '`rp_filter` is 1, which the kernel takes as the higher of the setting for all links and for one.',
    cure: 'Set it to 2 (loose): `sysctl -w net.ipv4.conf.all.rp_filter=2`; or give each address its way back by the sbr plugin.',
  },
  CNI3011: {
    title: 'Packets within a bridge pass the rules for forwarded ones',
    meaning: 'Containers on one bridge do not reach each other where those rules drop what they do not know.',
    why: '`net.bridge.bridge-nf-call-iptables` is 1, which Docker and Kubernetes want, and no rule lets packets of this bridge through.',
    cure: 'Add the firewall plugin to the list, or a rule that accepts what comes from the bridge and goes there.',
  },
  CNI3012: {
    title: 'The table of connections is nearly full',
    meaning: 'When it is full new connections are dropped, of containers and of the host.',
    why: 'There are many connections, or many that nobody closed, or the table is small.',
    cure: 'Raise `net.netfilter.nf_conntrack_max`, or see by `conntrack -L` who holds them.',
  },
  CNI3013: {
    title: 'Something was made for an attachment of which nothing is remembered',
    meaning: 'It is left over, and may stand in the way: a port, a name or an address that is taken.',
    why: 'The container was removed without DEL, or by a DEL that failed, or what is remembered was lost.',
    cure: '`cnitool gc NETWORK --stale`; look whether the container lives first.',
  },
  CNI3014: {
    title: 'Two containers have one address',
    meaning: 'Packets reach one of them, by chance.',
    why: 'Two networks have overlapping ranges, or the files of the reservations were removed while containers lived.',
    cure: 'Restart one of the containers. Give the networks ranges of their own (CNI2007).',
  },
  CNI3021: {
    title: 'The policy of FORWARD is DROP, and nothing accepts the container',
    meaning:
      'No packet of the container leaves the node, and none reaches it, although everything else is in order.',
    why: 'Docker sets the policy of FORWARD to DROP when it starts, and so do many firewalls; they accept their own networks only.',
    cure: "Put `firewall` at the end of the network's plugins: it accepts each container. Or accept the network yourself: `iptables -I FORWARD -s ‹network› -j ACCEPT` and the same with `-d`; where Docker runs, in its chain DOCKER-USER.",
  },
  CNI3022: {
    title: 'A rule drops the packet',
    meaning: 'Packets of the container that this rule matches end there.',
    why: 'A firewall of the host, a network policy, or what is left of one.',
    cure: 'See by its place and comment who made the rule; change it there, or accept the container before it.',
  },
  CNI3023: {
    title: 'The container has no way to the address',
    meaning: 'The kernel refuses the packet in the container: "network is unreachable".',
    why: 'The network gives no default route (`isDefaultGateway`, `isGateway` with `routes`), the route was deleted, or the link or its address is gone.',
    cure: 'Give the network a route, or put back what was deleted: `cnitool repair`.',
  },
  CNI3024: {
    title: 'A link on the way is down',
    meaning: 'Nothing passes it, in either direction.',
    why: 'Somebody set it down, or what it is connected to is down or gone.',
    cure: 'Set it up: `ip link set ‹link› up`.',
  },
  CNI3025: {
    title: 'The other end of the link is not on this host',
    meaning: 'What happens behind it cannot be looked at from here.',
    why: 'It is in a namespace of another container or virtual machine, or it is a device.',
    cure: 'Look from where the other end is.',
  },
  CNI3026: {
    title: 'Nobody has the address of the gateway',
    meaning: 'The container asks for its gateway, and nobody answers: "no route to host".',
    why: 'The address of the bridge was deleted, or the bridge was made anew by somebody else.',
    cure: 'Put it back: `cnitool repair`, or `ip address add`.',
  },
  CNI3027: {
    title: 'The host has no route',
    meaning: 'The packet, or the answer to it, ends on the host.',
    why: 'The route was deleted, or the host has no default route.',
    cure: 'Add the route; `cnitool repair` puts back those of containers.',
  },
  CNI3028: {
    title: 'The host does not forward',
    meaning: 'No container reaches anything but the host itself.',
    why: 'Something set `net.ipv4.ip_forward` (or `net.ipv6.conf.all.forwarding`) to 0 after the containers were attached: a file in /etc/sysctl.d, a network manager.',
    cure: 'Set it to 1, and find who sets it to 0.',
  },
  CNI3029: {
    title: 'The host does not believe the source of the packet',
    meaning: 'The kernel drops it silently (`rp_filter`, martian source).',
    why: 'The route back to the container goes by another link than the packet came in by, or is gone.',
    cure: 'Put the route back, or set `rp_filter` of the link to 2 where both ways are meant.',
  },
  CNI3030: {
    title: 'The container is not masqueraded, and should be',
    meaning: 'Packets leave with an address that nobody outside knows; no answer comes back.',
    why: 'The rules were flushed: `nft flush ruleset`, a reload of the firewall.',
    cure: '`cnitool repair` puts them back; sessions live on.',
  },
  CNI3031: {
    title: 'The host port leads to another container',
    meaning: 'Who asks that port gets no answer, or one of the wrong container.',
    why: 'A rule of a container that is gone stands before the right one, or two containers want the same port.',
    cure: '`cnitool gc --stale` removes what belongs to nobody; else give one of both another port.',
  },
  CNI3032: {
    title: 'Nothing leads the host port to the container',
    meaning: 'The host answers for itself: mostly "connection refused".',
    why: 'The port was never published, or the rules were flushed.',
    cure: 'Publish it, or `cnitool repair`.',
  },
  CNI3033: {
    title: 'The MTU shrinks on the way',
    meaning:
      'Large packets are answered by "fragmentation needed", or vanish where ICMP is dropped: connections open and then hang.',
    why: 'The uplink is a tunnel or has a smaller MTU than the network of the containers.',
    cure: 'Give the network the smallest MTU on the way (`"mtu"`); running containers keep theirs.',
  },
  CNI3034: {
    title: 'A packet that was sent got no answer',
    meaning: 'Whatever the tables say, it does not work now.',
    why: 'Where all hops before are in order, the cause is beyond this host, or the service does not run.',
    cure: 'Look at the hop that is told before; without one, at the other side.',
  },
  CNI3040: {
    title: 'An attachment is not as it was made',
    meaning:
      'Something that ADD made is gone or differs, so the container, or a part of its network, does not work: ports do not answer, nothing gets out, a limit does not hold.',
    why: 'A firewall was reloaded or flushed (`nft flush ruleset`, `iptables -F`, a restart of nftables, firewalld or Docker), or somebody deleted an address, a route, a queueing discipline, or set a sysctl back.',
    cure: '`cnitool repair` makes it so again. Nothing is restarted, and connections that are open live on.',
  },
  CNI3041: {
    title: 'An attachment could not be repaired',
    meaning: 'It stays as it was found; the others were looked at all the same.',
    why: 'Something stands in the way that is told: a link of that name that belongs to somebody else, an address that another container has by now, a plugin that is not there, a right that is missing.',
    cure: 'Put right what is told and repair again. Where that cannot be, remove the container and make it anew.',
  },
  CNI3042: {
    title: 'A plugin of the chain is not ours',
    meaning:
      'What it made, or would make, cannot be told, and it cannot make it so again: the specification has no command for either. The plugins of the chain that are ours are looked at all the same.',
    why: 'The executable that CNI_PATH leads to is of another project.',
    cure: 'Ask its own tools. Where ours can take its place, `cnitool install` puts it there.',
  },
  CNI3043: {
    title: 'Too little is remembered of an attachment',
    meaning: 'It cannot be held against what is there, nor be repaired.',
    why: 'The entry in the cache has no namespace, no result of its ADD, or a configuration that cannot be read: it is of an old runtime, or damaged.',
    cure: 'Remove the container and make it anew: what is remembered of it then is complete.',
  },
  CNI3044: {
    title: 'The namespace of an attachment is gone',
    meaning: 'There is nothing to repair: the container has ended, and what it left is in the way of others.',
    why: 'The node was started anew, or the processes of the container ended without a DEL.',
    cure: '`cnitool gc NET --stale` removes what such attachments left.',
  },
  CNI3045: {
    title: 'ADD would fail',
    meaning: 'No container can be attached so; what the plugins before it would make would be taken back.',
    why: 'It is told in the words of the plugin that would fail.',
    cure: 'Put right what is told, and plan again.',
  },
  CNI3046: {
    title: 'What a plugin would make cannot be known',
    meaning:
      'It follows from what a plugin before it answers, which is not ours and cannot be asked beforehand.',
    why: 'The chain has a plugin of another project before it.',
    cure: 'Attach a test container by `cnitool add`, and look at what was made.',
  },
  CNI4001: {
    title: 'A plugin is not there',
    meaning: 'Every container on this network fails.',
    why: 'The executable is in none of the folders of CNI_PATH, or the type is misspelt.',
    cure: 'Install it into /opt/cni/bin (`cnitool install` puts ours there), or write the name that is near.',
  },
  CNI4002: {
    title: 'A plugin does not speak the version',
    meaning: 'The plugin refuses every container: "incompatible CNI versions".',
    why: 'The plugin is older than the configuration.',
    cure: 'Write the highest version that all plugins of the list share, which is told, or replace the plugin.',
  },
  CNI4003: {
    title: 'A plugin cannot be asked',
    meaning:
      'Its executable failed, or answered something that is no answer, when it was asked for its versions.',
    why: 'It is for another processor, damaged, or not executable.',
    cure: 'Start it by hand and look at what it says: `CNI_COMMAND=VERSION /opt/cni/bin/‹plugin› </dev/null`. `file` tells for which processor it is.',
  },
  CNI4004: {
    title: 'A file could not be read',
    meaning: 'What is in it is not known; runtimes cannot know either.',
    why: 'It was removed meanwhile, or its owner and mode do not allow it.',
    cure: 'Look at it with `ls -l`.',
  },
  CNI4011: {
    title: 'What is remembered of an attachment cannot be read',
    meaning: 'CHECK fails, DEL works without the result, and gc lets it be.',
    why: 'The disk was full, or the node was switched off while the file was written.',
    cure: 'Restart the container; `cnitool gc NETWORK --all` cleans up a whole network.',
  },
  CNI4012: {
    title: 'The disk for the state is nearly full',
    meaning: 'When it is full ADD fails for every container, and DEL may leave things behind.',
    why: 'There is no space left, or there are no inodes left, in the file system of the folder.',
    cure: 'See `df -h` and `df -i` of the folder that is told, and make room.',
  },
  CNI4013: {
    title: 'The dhcp daemon does not answer',
    meaning: 'No container of the network gets an address, and no lease is renewed.',
    why: 'The daemon was not started, ended, or listens at another socket.',
    cure: '`systemctl start cni-dhcp.socket`, or run `dhcp daemon` as a service of the node.',
  },
  CNI4014: {
    title: 'Plugins are of different releases',
    meaning: 'They work together as long as they speak the version of the list; errors of old ones stay.',
    why: 'Some were replaced and some were not, or two packages install into one folder.',
    cure: 'Install all of them from one release.',
  },
  CNI4015: {
    title: 'A network of containers that live has no configuration',
    meaning:
      'DEL does not know the plugins any more, unless the runtime remembers them: addresses and rules stay behind.',
    why: 'The file was removed or renamed, or cannot be loaded, while containers are attached.',
    cure: 'Put the file back until the containers are gone, or mend it (`cnitool list` tells what is wrong).',
  },
  CNI4017: {
    title: 'A range is nearly used up',
    meaning: 'Soon no container gets an address.',
    why: 'There are that many containers, or addresses of some that are gone are still reserved.',
    cure: '`cnitool ipam show` tells who has them; make the range larger, or free what is stale.',
  },
  CNI4020: {
    title: 'An attachment is left whose namespace is gone',
    meaning:
      'Its address, ports and rules are still there; ports may lead to nowhere, or to another container.',
    why: 'The container or its namespace ended without a DEL: the node or the runtime stopped in between. containerd never calls GC.',
    cure: '`cnitool gc --stale --yes` removes it by its plugins.',
  },
  CNI4021: {
    title: 'An attachment is left whose pod the runtime does not know',
    meaning: 'It holds an address and perhaps ports, and no pod uses them.',
    why: 'The runtime lost its state, or a DEL failed and was not tried again.',
    cure: '`cnitool gc --runtime containerd --yes` (or `crio`) removes it by its plugins.',
  },
  CNI4030: {
    title: 'A file of somebody else is in the place of a plugin',
    meaning: '`cnitool install` left it, and the plugin of that name is still that file.',
    why: 'A wrapper script was put there, or another plugin of the same name; or it is a folder.',
    cure: 'Look what it is. `cnitool install --force` replaces it and keeps it in `.cni-ts`; `cnitool uninstall` puts it back.',
  },
  CNI4031: {
    title: 'A newer plugin is there',
    meaning: '`cnitool install` left it: an older one may not know what the newer has written.',
    why: 'An older release is installed after a newer one, often by a container image that was not updated.',
    cure: 'Install the newer release. Where the older is meant, `cnitool install --force`.',
  },
  CNI4032: {
    title: 'What was installed has been replaced by somebody else',
    meaning: '`cnitool uninstall` left it, and what it would have put back as well.',
    why: 'Another installer, or an upgrade of the distribution, wrote its own plugin after ours was installed.',
    cure: 'Look at both files. Remove the one in `.cni-ts`, or move it to its place.',
  },
} as const satisfies Readonly<Record<string, CodeText>>;

export type FindingCode = keyof typeof findingCodes;

/** How bad it is: an error keeps containers from working, a warning may; a note is only told. */
export type FindingLevel = 'error' | 'warning' | 'note';
