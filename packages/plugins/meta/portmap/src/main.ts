import { main } from '@cni-ts/skeleton/main';
import { portmap } from './portmap.ts';

main(portmap);
