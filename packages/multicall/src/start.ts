/** Where the compiled program begins: what its engine lacks comes before anything that may use it. */
import '@cni-ts/engine/prelude';
import './main.ts';
