import type { CodeText } from './code-text.ts';

/** What is wrong with a configuration. */
export const configurationCodes = {
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
} as const satisfies Record<string, CodeText>;
