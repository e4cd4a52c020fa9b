import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { hideMachinesOwn } from './isolated.ts';

/** User-mode Linux is a kernel that runs as a program, without root or virtualization. Debian's has what the kernel of
 *  a small virtual machine often lacks: dummy, vlan, ipvlan, vrf, bridge VLAN filtering. Tests that need those are
 *  named *.uml.test.ts and run here. Measured: 3 s to boot, 1 s to start Node, 5 s to start vitest; one processor. */
const kernel = '/usr/bin/linux.uml';

export function haveUml(): boolean {
  return existsSync(kernel);
}

export interface UmlOutcome {
  /** Exit status of the command; undefined when the kernel ended before the command did. */
  readonly status: number | undefined;
  /** All that the kernel and the command printed. */
  readonly output: string;
}

/** Of all machines of this process, for each its processor. */
let machines = 0;

/**
 * A machine stays on one processor. Each system call of a program in there is two processes handing over to each other,
 * and each fault of a page, too; where the other one has to be woken on another processor that takes twice as long.
 */
function nextProcessor(): number {
  const [, allowed = ''] =
    readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(\S+)$/m) ?? [];
  const processors = allowed.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
  return processors[machines++ % processors.length] ?? 0;
}

/** Runs a shell command, behind what else this machine does, on its own file tree, which is read-only in there; what the
 *  command writes goes to memory, but for the folder `$RESULTS`, which is `results` of this machine. */
export async function runInUml(
  command: string,
  options: {
    cwd: string;
    results: string;
    path: string;
    memory?: string;
    timeoutSeconds?: number;
  },
): Promise<UmlOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'cni-uml-'));
  const init = join(folder, 'init');
  writeFileSync(init, initScript(command, options), { mode: 0o755 });
  try {
    const machine = execa(
      'taskset',
      [
        ...['--cpu-list', String(nextProcessor())],
        ...['nice', '-n', '5', kernel],
        `mem=${options.memory ?? '2048M'}`,
        'rootfstype=hostfs',
        'root=/dev/root',
        'ro',
        `init=${init}`,
        'con=null',
        'con0=fd:0,fd:1',
        'quiet',
      ],
      {
        stdin: 'ignore',
        all: true,
        reject: false,
        timeout: (options.timeoutSeconds ?? 600) * 1000,
        // The kernel keeps its memory in a file of TMPDIR; a disk would make every access slow.
        env: { TMPDIR: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
      },
    );
    const { all, timedOut } = await machine;
    const status = readStatus(join(options.results, 'status'));
    return { status, output: timedOut ? `${all}\nstopped after ${options.timeoutSeconds ?? 600} s` : all };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first process in there. Modules lie where the package puts them and not in /lib/modules, which cannot be made
 *  on a read-only tree: modprobe is told so, the kernel's own calls (`ip link add type vlan`) included. */
function initScript(
  command: string,
  { cwd, results, path }: { cwd: string; results: string; path: string },
): string {
  return `#!/bin/bash
exec 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /tmp /dev/shm /var/lib /var/tmp; do
  mkdir -p "$folder" 2>/dev/null
  mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
${hideMachinesOwn}
export RESULTS=/run/results HOME=/tmp PATH=${path}
# io_uring, which Node uses where there is one, loses pages in here (Linux 6.12; 6.1 has no switch and no fault).
echo 2 2>/dev/null >/proc/sys/kernel/io_uring_disabled
mkdir -p $RESULTS /run/modules/lib/modules
# A folder of the machine: an option by name since Linux 6.11, before that the option itself.
hostfs() { mount -t hostfs -o "hostfs=$1$3" none "$2" 2>/dev/null || mount -t hostfs -o "$1$3" none "$2"; }
hostfs '${results}' $RESULTS ''
ln -s "/usr/lib/uml/modules/$(uname -r)" "/run/modules/lib/modules/$(uname -r)"
printf '#!/bin/sh\\nexec /sbin/modprobe -d /run/modules "$@"\\n' > /run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
# Elsewhere it is in the kernel, and every namespace has its settings from the start.
/run/modprobe ipv6
ip link set lo up
# A repository below one of those folders is hidden by the memory mounted there.
[ -d '${cwd}' ] || { mkdir -p '${cwd}' && hostfs '${cwd}' '${cwd}' ,ro; }
cd '${cwd}'
# Through a pipe: on a console, programs would draw for someone who watches.
( ${command} ) | cat
echo \${PIPESTATUS[0]} > $RESULTS/status
sync
echo o > /proc/sysrq-trigger
sleep 60
`;
}

function readStatus(file: string): number | undefined {
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
}
