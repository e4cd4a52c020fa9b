import { main } from '@cni-ts/skeleton/main';
import { tap } from './tap.ts';

main(tap);
