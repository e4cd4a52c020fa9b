import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import { configText, withoutNul } from '@cni-ts/skeleton/config-text';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import type { Dns } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. */
export const schema = () => {
  const text = () => z.optional(z.string());
  return z.object({
    ...networkConfig,
    device: text(),
    hwaddr: text(),
    kernelpath: text(),
    pciBusID: text(),
    dataDir: text(),
    runtimeConfig: z.optional(z.object({ deviceID: text() })),
  });
};

/** What the plugin works by; '' for what is not given. */
export interface Config {
  readonly device: string;
  readonly hwaddr: string;
  readonly kernelpath: string;
  readonly pciBusId: string;
  /** Of the runtime's device plugin: a PCI address, or the name of a device of the auxiliary bus. */
  readonly deviceId: string;
  /** Where it is kept what devices were like on the host. */
  readonly dataDir: string;
  readonly ipam: string;
  readonly dns: Dns | undefined;
}

export function parse(raw: z.output<ReturnType<typeof schema>>): Config {
  return {
    device: raw.device ?? '',
    hwaddr: raw.hwaddr ?? '',
    kernelpath: raw.kernelpath ?? '',
    pciBusId: raw.pciBusID ?? '',
    deviceId: raw.runtimeConfig?.deviceID ?? '',
    dataDir: dataDirOf(raw.dataDir),
    ipam: raw.ipam?.type ?? '',
    dns: dnsOf(raw.dns),
  };
}

/** On a file system that a restart of the machine empties, as it does the namespaces. */
const defaultDataDir = '/run/cni/host-device';

/** The records of ADD must be found by DEL, which a runtime may start in another folder. */
function dataDirOf(written = ''): string {
  if (written === '' || written.startsWith('/')) return withoutNul(written, 'dataDir') || defaultDataDir;
  throw new CniError(
    ErrorCode.invalidConfig,
    `dataDir is ${JSON.stringify(written)}: it must be a path from the root`,
    `leave it out for ${defaultDataDir}`,
  );
}

/** The same for DEL and GC, of a configuration that need not be valid: what ADD did not take has moved nothing. */
export function dataDirIn(json: unknown, log: (line: string) => void): string {
  try {
    return dataDirOf(configText(json, 'dataDir'));
  } catch (error) {
    log(`host-device: ${errorText(error)}; records are looked for in ${defaultDataDir}`);
    return defaultDataDir;
  }
}

/** ADD and CHECK need to know which device; DEL does not. */
export function checkNamed({ device, hwaddr, kernelpath, pciBusId, deviceId }: Config): void {
  if (device || hwaddr || kernelpath || pciBusId || deviceId) return;
  throw new CniError(
    ErrorCode.internal,
    'specify either "device", "hwaddr", "kernelpath" or "pciBusID"',
    'or let the runtime tell it by the capability deviceID',
  );
}
