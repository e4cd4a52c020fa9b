/** Probes of what is on the disk: configurations, plugins, the cache, reservations, room. */
import { mayAccess, nearestExisting, roomAt, tryStat } from '@cni-ts/libc/file-status';
import { runToEnd } from '@cni-ts/libc/program';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import { errorText } from '@cni-ts/spec/cni-error';
import type { FindingCode } from '@cni-ts/spec/finding-codes';
import { poolCodes } from '../cluster/pool-problems.ts';
import { findingsIn } from '../ipam/check.ts';
import { dhcpFolder } from '../ipam/leases.ts';
import { usesOf } from '../ipam/survey.ts';
import { many } from '../many.ts';
import { attachmentProblems, nameOf, unique } from '../node/problem.ts';
import { damagedEntries } from '../remembered-attachments.ts';
import { referencePlugins } from '../validate/plugin-types.ts';
import { nodeFindings } from '../validate-command.ts';
import type { Found, Probe } from './probe.ts';

/** What `validate` finds in the node's folder, errors alone. */
export const configurations: Probe = {
  name: 'configurations',
  async run({ call, sight }) {
    const { findings, files } = await nodeFindings(call);
    const found = findings
      .filter(({ level }) => level === 'error')
      .map(({ file, line, code, message, pointer }): Found => {
        const at = pointer === '' ? '' : ` ${pointer}`;
        return {
          code,
          message: `${file}:${line}${at}: ${message}`,
          cure: `cnitool validate ${sight.folder}`,
        };
      });
    const warnings = findings.filter(({ level }) => level === 'warning').length;
    const more = warnings === 0 ? '' : `, ${many(warnings, 'warning')}: cnitool validate`;
    return { found, fine: `${many(files, 'file')} in ${sight.folder}${more}` };
  },
};

export const plugins: Probe = {
  name: 'plugins',
  async run({ call: { runtime }, sight, until }) {
    // What a file names is among what validate finds, where something is wrong with it.
    const inFiles = new Set(
      sight.files.flatMap((one) => [...one.plugins, ...one.ipam].map(({ type }) => type)),
    );
    const inCache = sight.attached.flatMap((one) => one.plugins.map(({ type }) => String(type)));
    const types = [...new Set([...inFiles, ...inCache])].filter((one) => one !== '').sort();
    const releases = new Map<string, string[]>();
    const found: Found[] = [];
    let [late, missing] = [0, 0];
    for (const type of types) {
      const program = runtime.programOf(type);
      if (performance.now() > until) late++;
      else if (program === undefined) {
        missing++;
        if (inFiles.has(type)) continue;
        found.push({
          code: 'CNI4001',
          message: `${type}, which attachments were made with, is in none of ${runtime.path.join(', ')}`,
          cure: `install ${type} again, or DEL fails: "cnitool install ${type}" puts ours there`,
        });
      } else if (referencePlugins.includes(type)) {
        const release = releaseOf(program);
        if (release !== undefined) releases.set(release, [...(releases.get(release) ?? []), type]);
      } else if (!inFiles.has(type)) {
        try {
          await runtime.getVersionInfo(type);
        } catch (error) {
          const message = `${type} does not tell its versions: ${textOf(error)}`;
          found.push({ code: 'CNI4003', message, cure: `CNI_COMMAND=VERSION ${program}` });
        }
      }
    }
    if (releases.size > 1) {
      const each = [...releases].map(([release, of]) => `${release}: ${of.join(', ')}`);
      found.push({
        code: 'CNI4014',
        message: `plugins are of different releases: ${each.join('; ')}`,
        cure: 'install all of them from one release',
      });
    }
    const unknown = late === 0 ? [] : [`${many(late, 'plugin')} for want of time`];
    const there = types.length - missing;
    return { found, fine: there === 0 ? undefined : many(there, 'plugin'), unknown };
  },
};

/** What a plugin says of itself when it is started by hand: its release, and the newest version it speaks. Undefined where it
 *  says nothing, which others tell better. */
function releaseOf(program: string): string | undefined {
  const { stdout, stderr, status } = runToEnd(program, [], { PATH: process.env.PATH }, '');
  if (status !== 0) return undefined;
  const text = stdout + stderr;
  const [, release] = /\b(v\d+\.\d+\.\d+\S*|version unknown)/.exec(text) ?? [];
  const newest = /versions supported: .*?(\d+\.\d+\.\d+)\s*$/m.exec(text)?.[1];
  return newest === undefined ? undefined : `${release ?? 'version unknown'} (CNI ${newest})`;
}

/** Entries of the cache that cannot be read, and attachments whose namespace is gone or whose network has no file. */
export const cache: Probe = {
  name: 'attachments',
  run({ sight, attached }) {
    const found: Found[] = unique(
      attached.flatMap((one) =>
        attachmentProblems(sight, one).map((problem): Found => {
          // What is about the network is told once.
          if (!problem.message.startsWith('its ')) return problem;
          return { ...problem, message: `${nameOf(one)}: ${problem.message}`, attachment: nameOf(one) };
        }),
      ),
    );
    const known = sight.attached.map(({ cached }) => cached);
    for (const path of damagedEntries(sight.cacheDir, known)) {
      found.push({
        code: 'CNI4011',
        message: `${path} cannot be read as an attachment`,
        cure: 'restart the container it is of; then remove the file',
      });
    }
    if (!sight.cacheIsThere) {
      const where = `there is no ${sight.cacheDir}/results; containerd and CRI-O use /var/lib/cni, else set CNI_CACHE_DIR`;
      return { found, fine: `none is remembered: ${where}` };
    }
    const living = attached.filter(({ lives }) => lives).length;
    const fine = `${many(attached.length, 'attachment')}${attached.length === living ? '' : `, ${living} live`}`;
    return { found, fine };
  },
};

/** From this part of a range on it is nearly used up. */
const nearly = 0.9;

export const addresses: Probe = {
  name: 'addresses',
  run(exam) {
    const { seen, notes } = exam.addresses();
    const found: Found[] = [];
    const leaked = new Map<string, string[]>();
    for (const { code, level, network, message, address } of findingsIn(seen)) {
      // The probe of the cluster has told those.
      if (level === 'note' || poolCodes.includes(code)) continue;
      if (code === 'CNI2020') leaked.set(network, [...(leaked.get(network) ?? []), address ?? '']);
      else
        found.push({
          code,
          message: `${network}: ${address === undefined ? '' : `${address} `}${message}`,
          cure: `cnitool ipam check ${network}`,
        });
    }
    for (const [network, all] of leaked) {
      const some = all.slice(0, 3).join(', ') + (all.length > 3 ? ', …' : '');
      found.push({
        code: 'CNI2020',
        message: `${network}: ${many(all.length, 'address')} reserved for nobody who lives: ${some}`.replace(
          'addresss',
          'addresses',
        ),
        cure: `cnitool gc ${network} --stale`,
      });
    }
    let stores = 0;
    for (const { network, stores: views } of seen.networks) {
      for (const view of views) {
        stores++;
        for (const { range, used, usable, live, blocks } of usesOf(view)) {
          // Of the cluster's there may be more.
          if (used < usable * nearly || used >= usable || blocks !== undefined) continue;
          found.push({
            code: 'CNI4017',
            message: `${network.name}: ${range} is nearly used up: ${used} of ${usable} addresses, ${live} of them by who lives`,
            cure: `cnitool ipam show ${network.name}`,
          });
        }
      }
    }
    return { found, fine: stores === 0 ? undefined : many(stores, 'store'), unknown: notes };
  },
};

/** Less than this of it, and less than so many bytes. */
const leastPart = 0.05;
const leastBytes = 64 * 2 ** 20;
const leastFiles = 0.02;

export const room: Probe = {
  name: 'disk',
  run({ sight, call }) {
    const found: Found[] = [];
    const unknown: string[] = [];
    const folders = new Set([sight.cacheDir, dhcpFolder(call.env), ...sight.dataDirs].map(nearestExisting));
    const seen = new Set<string>();
    for (const folder of folders) {
      try {
        if (!mayAccess(folder, { write: true })) found.push(unwritable(folder));
        const { bytes, freeBytes, files, freeFiles } = roomAt(folder);
        const same = `${bytes} ${files} ${tryStat(folder)?.dev}`;
        if (seen.has(same)) continue;
        seen.add(same);
        if (bytes > 0 && freeBytes < bytes * leastPart && freeBytes < leastBytes) {
          found.push(
            full(folder, `${Math.floor(freeBytes / 2 ** 20)} MiB of ${Math.ceil(bytes / 2 ** 20)} are left`),
          );
        }
        if (files > 0 && freeFiles < files * leastFiles) {
          found.push(full(folder, `${freeFiles} of ${files} inodes are left`));
        }
      } catch (error) {
        unknown.push(errorText(error));
      }
    }
    return { found, fine: `room in ${[...folders].join(', ')}`, unknown };
  },
};

/** root may write everywhere but where the disk itself may not be written. */
function unwritable(folder: string): Found {
  return {
    code: 'CNI4018',
    message: `${folder} cannot be written: ADD and DEL cannot keep what they must remember`,
    cure: `findmnt -T ${folder} tells how it is mounted; mount -o remount,rw, and dmesg tells why it was not`,
  };
}

function full(folder: string, how: string): Found {
  const code: FindingCode = 'CNI4012';
  return {
    code,
    message: `the disk of ${folder} is nearly full: ${how}`,
    cure: `make room: df -h ${folder}; df -i ${folder}`,
  };
}
