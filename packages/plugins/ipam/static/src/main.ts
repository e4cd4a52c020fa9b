import { main } from '@cni-ts/skeleton/main';
import { staticPlugin } from './static.ts';

main(staticPlugin);
