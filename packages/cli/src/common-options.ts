/** What every command has: options, and variables of the environment. */
import type { Option } from './command-line.ts';

/** Every command has them, and they may also stand before it. */
export const commonOptions: readonly Option[] = [
  {
    name: 'ifname',
    short: '-i',
    value: 'name',
    about: 'interface inside the namespace (default: $CNI_IFNAME, then eth0)',
  },
  {
    name: 'exec',
    about: 'run every plugin as a process, also those that are part of this program ($CNITOOL_EXEC=1)',
  },
];
export const versionOption: Option = { name: 'version', about: 'print the version of the tool' };
export const helpOption: Option = { name: 'help', short: '-h', about: 'display help for command' };

export const environment: readonly (readonly [name: string, about: string])[] = [
  ['NETCONFPATH', 'folder with network configurations (default: /etc/cni/net.d)'],
  ['CNI_PATH', 'folders with plugins, separated by ":" (default: the folder of cnitool, then /opt/cni/bin)'],
  ['CNI_ARGS', 'K=V;K=V for the plugins'],
  ['CAP_ARGS', "JSON object with values for the plugins' capabilities"],
  ['CNI_IFNAME', 'interface name when --ifname is not given'],
  ['CNI_CACHE_DIR', 'where attachments are remembered (default: /var/lib/cni)'],
  ['CNI_LOG', 'file for the steps of each call and how long they took'],
];
