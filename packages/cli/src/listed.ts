import { listFolder } from '@cni-ts/libc/folder';

/** The names in a folder, sorted; none where it is not there, or not for us to see. */
export function listed(folder: string): string[] {
  try {
    return listFolder(folder).sort();
  } catch {
    return []; // reason: what is offered or drawn from there is only more than nothing
  }
}
