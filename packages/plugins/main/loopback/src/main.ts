import { main } from '@cni-ts/skeleton/main';
import { loopback } from './loopback.ts';

main(loopback);
