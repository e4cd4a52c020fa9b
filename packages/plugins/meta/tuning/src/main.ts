import { main } from '@cni-ts/skeleton/main';
import { tuning } from './tuning.ts';

main(tuning);
