import { main } from '@cni-ts/skeleton/main';
import { dummy } from './dummy.ts';

main(dummy);
