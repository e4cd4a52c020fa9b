import { main } from '@cni-ts/skeleton/main';
import { clusterPool } from './cluster-pool.ts';

main(clusterPool);
