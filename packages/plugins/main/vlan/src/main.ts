import { main } from '@cni-ts/skeleton/main';
import { vlan } from './vlan.ts';

main(vlan);
