/** A device of the host, and calls about it. */
import type { Call } from '@cni-ts/testing/call';
import type { Container, Host } from '@cni-ts/testing/namespaces';

export const mac = '02:00:00:00:00:10';

export function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  const dataDir = `${host.dir}/devices`;
  const full = { cniVersion: '1.1.0', name: 'net1', type: 'host-device', dataDir, ...config };
  return { config: full, container, path: host.bin, ...more };
}

// biome-ignore lint/suspicious/noExplicitAny: what `ip` prints
export function link(place: Pick<Host, 'succeeds' | 'sh'>, name: string): any {
  return place.succeeds(`ip link show ${name}`)
    ? JSON.parse(place.sh(`ip -j -d address show ${name}`))[0]
    : undefined;
}
