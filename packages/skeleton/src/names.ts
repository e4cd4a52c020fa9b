/**
 * The names a runtime hands to plugins and the rules they keep (spec, "Parameters" and "Network configuration").
 * Each check throws a CniError whose text runtimes already know from the reference library, and says nothing when
 * the name is good. Container IDs and network names that pass are safe as a file's name.
 */
import { CniError, ErrorCode } from './cni-error.ts';

/** `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, without a regular expression: compiling one takes longer than these few characters. */
function isIdentifier(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const letterOrDigit =
      (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39);
    if (!letterOrDigit && (i === 0 || (code !== 0x5f && code !== 0x2e && code !== 0x2d))) return false;
  }
  return text !== '';
}

/** The kernel's IFNAMSIZ is 16 with the closing zero byte (linux/if.h). */
const longestInterfaceName = 15;

/** Unicode white space is not quite what `\s` matches: U+0085 belongs to it, U+FEFF does not. */
const notInInterfaceName = /[/:\u0085]|(?!\ufeff)\s/;

/** A short name of visible ASCII characters, as nearly all are: it needs no closer look. */
function isPlainName(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || code === 0x2f || code === 0x3a) return false;
  }
  return text.length <= longestInterfaceName && text !== '.' && text !== '..';
}

export function checkContainerId(value: string): void {
  if (value === '') throw new CniError(ErrorCode.unknownContainer, 'missing containerID');
  if (!isIdentifier(value)) {
    throw new CniError(ErrorCode.invalidEnvironment, 'invalid characters in containerID', value);
  }
}

export function checkNetworkName(value: string): void {
  if (value === '') throw new CniError(ErrorCode.invalidConfig, 'missing network name:');
  if (!isIdentifier(value)) {
    throw new CniError(ErrorCode.invalidConfig, 'invalid characters found in network name', value);
  }
}

/** What dev_valid_name() in the kernel takes, measured in bytes, and no colon: old ioctls end a name there. */
export function checkInterfaceName(value: string): void {
  if (value === '') throw badInterfaceName('is empty');
  if (isPlainName(value)) return;
  if (new TextEncoder().encode(value).length > longestInterfaceName) {
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
