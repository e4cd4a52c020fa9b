/** Makes what the tests need in C, for where gcc would take long and its results be seen by nobody else: in user-mode
 *  Linux. */
import { compiled } from './compiled.ts';

for (const name of ['fault-injector', 'settings', 'starter']) compiled(name);
