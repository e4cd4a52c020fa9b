/**
 * The names a runtime hands to plugins and the rules they keep (spec, "Parameters" and "Network configuration").
 * Each check throws a CniError whose text runtimes already know from the reference library, and says nothing when
 * the name is good. Container IDs and network names that pass are safe as a file's name.
 */
import { CniError, ErrorCode } from './cni-error.ts';

/** What container IDs and network names consist of. */
const identifier = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** The kernel's IFNAMSIZ is 16 with the closing zero byte (linux/if.h). */
const longestInterfaceName = 15;

/** Unicode white space is not quite what `\s` matches: U+0085 belongs to it, U+FEFF does not. */
const notInInterfaceName = /[/:\0\u0085]|(?!\ufeff)\s/;

/** A short name of visible ASCII characters, as nearly all are: it needs no closer look. */
const plainInterfaceName = /^(?!\.\.?$)[!-$&-.0-9;-~]{1,15}$/;

export function checkContainerId(value: string): void {
  if (value === '') throw new CniError(ErrorCode.unknownContainer, 'missing containerID');
  if (!identifier.test(value)) {
    throw new CniError(ErrorCode.invalidEnvironment, 'invalid characters in containerID', value);
  }
}

export function checkNetworkName(value: string): void {
  if (value === '') throw new CniError(ErrorCode.invalidConfig, 'missing network name:');
  if (!identifier.test(value)) {
    throw new CniError(ErrorCode.invalidConfig, 'invalid characters found in network name', value);
  }
}

/** What dev_valid_name() in the kernel takes, measured in bytes, and no colon: old ioctls end a name there. No % either,
 *  with which the kernel would choose the name itself: `eth%d` becomes eth0. `all` and `default` are invalid arguments
 *  to it, for their settings have these names below /proc/sys/net/ipv4/conf. */
export function checkInterfaceName(value: string): void {
  checkNameOfOld(value);
  if (value === 'all' || value === 'default') {
    throw badInterfaceName(`is ${value}`, 'the kernel keeps that name for settings of all its links');
  }
  if (!value.includes('%')) return;
  throw badInterfaceName(
    'contains %',
    'the kernel takes it for a template and would give the link another name',
  );
}

/** The same for DEL, which makes no link: an interface that was refused must be removable. */
export function checkNameOfOld(value: string): void {
  if (value === '') throw badInterfaceName('is empty');
  if (plainInterfaceName.test(value)) return;
  if (bytesOf(value) > longestInterfaceName) {
    throw badInterfaceName('is too long', 'interface name should be less than 16 characters');
  }
  if (value === '.' || value === '..') throw badInterfaceName('is . or ..');
  if (notInInterfaceName.test(value)) {
    throw badInterfaceName('contains / or : or whitespace characters');
  }
}

function badInterfaceName(why: string, details = ''): CniError {
  return new CniError(ErrorCode.invalidEnvironment, `interface name ${why}`, details);
}

/** How many bytes a name has for the kernel: UTF-8, and one for what stands for a byte that is none (U+DC80 to U+DCFF
 *  alone, see libc's system-text.ts). */
function bytesOf(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80 || (unit >= 0xdc80 && unit <= 0xdcff)) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      bytes += 4;
      i++;
    } else bytes += 3;
  }
  return bytes;
}
