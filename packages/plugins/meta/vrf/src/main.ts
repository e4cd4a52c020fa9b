import { main } from '@cni-ts/skeleton/main';
import { vrf } from './vrf.ts';

main(vrf);
