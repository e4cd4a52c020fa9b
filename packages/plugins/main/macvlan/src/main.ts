import { main } from '@cni-ts/skeleton/main';
import { macvlan } from './macvlan.ts';

main(macvlan);
