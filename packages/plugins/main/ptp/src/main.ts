import { main } from '@cni-ts/skeleton/main';
import { ptp } from './ptp.ts';

main(ptp);
