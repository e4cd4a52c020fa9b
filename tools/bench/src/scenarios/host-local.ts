import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reservation } from '../check.ts';
import { hostLocalFloor } from '../floor.ts';
import type { Host } from '../host.ts';
import { attachments } from '../scenario.ts';

const name = 'crowded';
const targets: Readonly<Record<number, number>> = { 1000: 0.4, 60000: 0.01 };

/** host-local alone, with a folder in which others have reserved addresses already. */
export const hostLocal = [100, 1_000, 10_000, 60_000].map((count) =>
  attachments({
    name: `host-local-${count}`,
    title: `host-local, ${count.toLocaleString('en')} reservations`,
    ...(targets[count] && { targets: { ADD: targets[count] } }),
    types: ['host-local'],
    network: (host) => ({
      name,
      plugins: [
        { type: 'host-local', ipam: { type: 'host-local', subnet: '10.22.0.0/16', dataDir: host.dataDir } },
      ],
    }),
    checks: [reservation],
    prepare: (host) => reserve(host, count),
    floor: hostLocalFloor,
  }),
);

/** As host-local's files are: the name is the address, the text the container's ID and the interface's name. */
function reserve(host: Host, count: number): void {
  const folder = join(host.dataDir, name);
  mkdirSync(folder, { recursive: true });
  let last = '';
  for (let at = 0; at < count; at++) {
    last = `10.22.${(at + 2) >> 8}.${(at + 2) & 0xff}`;
    writeFileSync(join(folder, last), `other-${at}\r\neth0`);
  }
  writeFileSync(join(folder, 'last_reserved_ip.0'), last);
}
