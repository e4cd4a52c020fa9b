import { main } from '@cni-ts/skeleton/main';
import { dhcp } from './dhcp.ts';

main(dhcp);
