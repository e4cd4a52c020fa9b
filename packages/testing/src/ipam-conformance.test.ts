/**
 * The suite for IPAM plugins against itself: a small plugin that keeps every promise passes it, and the same plugin with one
 * fault is reported by the promise it breaks.
 */
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { complaint } from '../test/complaint.ts';
import { type Fault, faults, toyIpam } from '../test/toy-ipam.ts';
import { ipamChecks, ipamConformance } from './ipam-conformance.ts';
import type { IpamCase } from './ipam-trial.ts';
import { sourceProgram } from './source-program.ts';

/** What the toy has as a program. */
const program = vi.hoisted(() => ({ fault: '' }));
vi.mock('./plugin-process.ts', () => ({
  executables: undefined,
  programOf: () => [...sourceProgram(join(import.meta.dirname, '../test/toy-ipam.ts')), program.fault],
}));
beforeEach(() => {
  program.fault = '';
});

const toy: IpamCase = {
  title: 'an IPAM plugin that keeps every promise',
  config: (host) => ({ ipam: { type: 'toy-ipam', dataDir: join(host.dir, 'toy'), subnet: '10.9.0.0/24' } }),
  other: (host) => ({ ipam: { type: 'toy-ipam', dataDir: join(host.dir, 'toy'), subnet: '10.8.0.0/24' } }),
  tamperings: {
    'it is gone': {
      by: (host) => host.sh(`rm ${host.dir}/toy/10.9.0.2`),
      says: /10\.9\.0\.2 is not reserved/,
    },
  },
};

ipamConformance(toyIpam(), [
  toy,
  {
    ...toy,
    title: 'the same, with its memory elsewhere and over a link',
    memory: 'elsewhere',
    link: (_, container) => container.sh('ip link add eth0 type bridge; ip link set eth0 up'),
    look: (host) => host.sh(`cat ${host.dir}/toy/10.* 2>/dev/null || true`),
  },
]);

describe('the suite', () => {
  test.each(Object.keys(faults) as Fault[])('reports that %s', { timeout: 120_000 }, async (fault) => {
    const [title, says] = faults[fault];
    program.fault = fault;
    const concerned = ipamChecks(toyIpam(fault), toy, 100).filter(([name]) => name.startsWith(title));
    expect(concerned).toHaveLength(1);
    const [[, check] = concerned.at(0) ?? []] = concerned;
    expect(await complaint(check)).toMatch(says);
  });
});
