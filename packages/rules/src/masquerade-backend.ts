import type { Backend } from '@cni-ts/iptables/backend';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { expectedWords } from '@cni-ts/spec/nearest-word';

/** The config's `ipMasqBackend`; undefined when it leaves the choice. */
export function checkBackend(backend: string | null | undefined): Backend | undefined {
  if (backend === undefined || backend === null) return undefined;
  if (backend === 'iptables' || backend === 'nftables') return backend;
  const details = `ipMasqBackend ${expectedWords(backend, ['iptables', 'nftables'])}`;
  throw new CniError(ErrorCode.internal, `unknown ipmasq backend "${backend}"`, details);
}
