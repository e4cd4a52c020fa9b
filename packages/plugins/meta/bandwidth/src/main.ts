import { main } from '@cni-ts/skeleton/main';
import { bandwidth } from './bandwidth.ts';

main(bandwidth);
