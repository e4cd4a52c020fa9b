/** Whether firewalld runs, asked at nearly every call on hosts that have a bus and no firewalld. */
import { isOwned } from '@cni-ts/dbus/name-owner';

export const firewalldName = 'org.fedoraproject.FirewallD1';

/** False also when there is no bus, it refuses us, or does not answer within two seconds. */
export function firewalldRuns(): boolean {
  return isOwned(firewalldName, 2000);
}
