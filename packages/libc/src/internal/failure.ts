import { fileError, SyscallError } from '../syscall-error.ts';
import { libc } from './calls.ts';

/** `<operation> <path>: <errno text>` of the system call that has just failed. */
export function failure(operation: string, path: string, call: string): Error {
  return fileError(operation, path, new SyscallError(call, libc().errno()));
}
