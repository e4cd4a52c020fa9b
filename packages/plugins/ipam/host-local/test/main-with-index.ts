/** As src/main.ts, but with the index where the test wants it. */
import { main } from '@cni-ts/skeleton/main';
import { hostLocalWith } from '../src/host-local.ts';

main(hostLocalWith(process.env.INDEX_FOLDER));
