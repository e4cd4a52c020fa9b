/** For tests: a lab with a server that the test writes, and the daemon with short times. */
import type { Container } from '@cni-ts/testing/namespaces';
import { Lab, type Running } from './dhcp-lab.ts';
import { giving, type Script, ScriptedServer, seconds, usual } from './scripted-server.ts';

export const fast = ['-timeout', '300ms', '-resendmax', '1s', '-resendtimeout', '3s'];

export interface ScriptedLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly server: ScriptedServer;
  readonly daemon: Running;
}

export async function labWith(
  script: Script = giving('192.168.7.50'),
  flags: readonly string[] = fast,
): Promise<ScriptedLab> {
  const lab = new Lab();
  const server = new ScriptedServer(lab.serverPlace(), script);
  const daemon = await lab.daemon(flags);
  return {
    lab,
    server,
    daemon,
    async [Symbol.asyncDispose]() {
      server[Symbol.dispose]();
      await lab[Symbol.asyncDispose]();
    },
  };
}

/** Options of a lease of so many seconds. */
export function lasting(
  lease: number,
  more: Readonly<Record<number, string>> = {},
): Readonly<Record<number, string>> {
  return { ...usual, 51: seconds(lease), ...more };
}

/** What the plugin that calls IPAM does then. */
export function configure(container: Container, address: string): void {
  container.sh(`ip addr add ${address} dev eth0; ip route add default via 192.168.7.1 dev eth0`);
}

export function addresses(container: Container): string[] {
  const links: { addr_info: { local: string; prefixlen: number }[] }[] = JSON.parse(
    container.sh('ip -j -4 addr show eth0'),
  );
  return (links[0]?.addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

export function isUp(container: Container): boolean {
  return JSON.parse(container.sh('ip -j link show eth0'))[0].flags.includes('UP');
}
