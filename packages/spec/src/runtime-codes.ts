import type { CodeText } from './code-text.ts';

/** What is wrong with a runtime, with plugins, or with what is remembered of them. */
export const runtimeCodes = {
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
  CNI4018: {
    title: 'The folder for the state cannot be written',
    meaning:
      'No container can be attached, and none detached: plugins and runtime cannot keep what they must remember.',
    why: 'The file system is mounted read-only, by its options or by the kernel after an error of the disk; or the command is not run by root.',
    cure: '`findmnt -T FOLDER` tells how it is mounted, `dmesg` whether the disk failed; `mount -o remount,rw` where that is all.',
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
} as const satisfies Record<string, CodeText>;
