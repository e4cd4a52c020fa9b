import { main } from '@cni-ts/skeleton/main';
import { hostLocal } from './host-local.ts';

main(hostLocal);
