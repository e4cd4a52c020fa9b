/** Why a plugin is not even started. What is told looks as if the start had failed. */
import type { Outcome } from '@cni-ts/invoke/run-plugin';

/** The kernel ends a variable at its first zero byte: the plugin would see a part of the value. */
export function unfitEnvironment(env: Readonly<Record<string, string>>): boolean {
  return Object.values(env).some((value) => value.includes('\0'));
}

/** The outcome of a run that was called off before it began. */
export function calledOff({ reason }: AbortSignal): Outcome {
  const late = reason instanceof Error && reason.name === 'TimeoutError';
  return { why: late ? 'context deadline exceeded' : 'context canceled', stdout: '', stderr: '' };
}
