import { main } from '@cni-ts/skeleton/main';
import { firewall } from './firewall.ts';

main(firewall);
