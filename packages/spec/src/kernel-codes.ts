import type { CodeText } from './code-text.ts';

/** What is wrong in the kernel of this node. */
export const kernelCodes = {
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
  CNI3047: {
    title: 'Whether ADD succeeds cannot be known without a change',
    meaning:
      'The plan holds where the kernel can do what is told. To ask it would load a module, and a plan changes nothing.',
    why: "The module is not loaded, and the kernel's list of modules, `/lib/modules/$(uname -r)/modules.dep`, is not to be seen: the command runs in a container that does not have the folder mounted.",
    cure: 'Run it on the node itself, or mount `/lib/modules` read-only. `modprobe MODULE` on the node tells too.',
  },
} as const satisfies Record<string, CodeText>;
