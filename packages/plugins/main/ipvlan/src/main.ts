import { main } from '@cni-ts/skeleton/main';
import { ipvlan } from './ipvlan.ts';

main(ipvlan);
