import { main } from '@cni-ts/skeleton/main';
import { bridge } from './bridge.ts';

main(bridge);
