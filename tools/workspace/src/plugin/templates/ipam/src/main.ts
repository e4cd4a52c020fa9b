import { main } from '@cni-ts/skeleton/main';
import { __plugin__ } from './__name__.ts';

main(__plugin__);
