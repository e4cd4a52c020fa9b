import { main } from '@cni-ts/skeleton/main';
import { hostDevice } from './host-device.ts';

main(hostDevice);
