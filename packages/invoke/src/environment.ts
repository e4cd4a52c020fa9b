/** The environment a runtime gives to a plugin (CNI specification, section 2, "Parameters"). */
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { checkContainerId, checkInterfaceName, checkNameOfOld } from '@cni-ts/spec/names';

/** Environment variables by name, as the process has them. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** The variables as raw strings, '' when absent; what the command in hand requires is there and valid. */
export interface Environment {
  readonly command: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifname: string;
  readonly args: string;
  /** The container's namespace may be the plugin's own. */
  readonly netnsOverride: boolean;
}

/** In the order that decides which problem is reported first. A variable is checked only where it is required: the
 *  runtime may leave anything in the others. */
const required: readonly { name: string; by: readonly string[]; check?: (value: string) => void }[] = [
  { name: 'CNI_CONTAINERID', by: ['ADD', 'CHECK', 'DEL', 'PLAN', 'REPAIR'], check: checkContainerId },
  { name: 'CNI_NETNS', by: ['ADD', 'CHECK', 'REPAIR'] },
  { name: 'CNI_IFNAME', by: ['ADD', 'CHECK', 'PLAN', 'REPAIR'], check: checkInterfaceName },
  { name: 'CNI_IFNAME', by: ['DEL'], check: checkNameOfOld },
  { name: 'CNI_PATH', by: ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS', 'PLAN', 'REPAIR'] },
];

/** Throws CniError 4 for the first invalid variable, else for all missing ones together. An unknown command is not
 *  judged here: what is wrong with the configuration comes first. Empty is the same as absent. */
export function readEnvironment(env: Variables): Environment {
  const command = variable(env, 'CNI_COMMAND');
  const missing = command === '' ? ['CNI_COMMAND'] : [];
  for (const { name, by, check } of required) {
    if (!by.includes(command)) continue;
    const value = variable(env, name);
    if (value === '') missing.push(name);
    else check?.(value);
  }
  if (missing.length > 0) {
    throw new CniError(ErrorCode.invalidEnvironment, `required env variables [${missing.join(',')}] missing`);
  }
  return {
    command,
    containerId: variable(env, 'CNI_CONTAINERID'),
    netns: variable(env, 'CNI_NETNS'),
    ifname: variable(env, 'CNI_IFNAME'),
    args: variable(env, 'CNI_ARGS'),
    netnsOverride: ['1', 'true'].includes(variable(env, 'CNI_NETNS_OVERRIDE').toLowerCase()),
  };
}

/** The folders of CNI_PATH, in search order; an empty one between two colons is the working directory. */
export function searchFolders(env: Variables): string[] {
  const path = variable(env, 'CNI_PATH');
  return path === '' ? [] : path.split(':');
}

function variable(env: Variables, name: string): string {
  return env[name] ?? '';
}
