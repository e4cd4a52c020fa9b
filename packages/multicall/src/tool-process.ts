/** The operator's tool, which calls the plugins of this program instead of executing them. */
import { cnitool } from '@cni-ts/cli/cnitool';
import { writeWhole } from '@cni-ts/libc/file';
import { exit } from '@cni-ts/libc/process';
import { findPlugin } from './called-as.ts';

const writer = (descriptor: 1 | 2) => (text: string) =>
  writeWhole(descriptor, new TextEncoder().encode(text), `descriptor ${descriptor}`);

void cnitool(process.argv.slice(2), {
  env: process.env,
  stdout: writer(1),
  stderr: writer(2),
  inProcess: findPlugin,
}).then(exit);
