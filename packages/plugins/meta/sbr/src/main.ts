import { main } from '@cni-ts/skeleton/main';
import { sbr } from './sbr.ts';

main(sbr);
