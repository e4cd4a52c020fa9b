/** The suite against itself: a plugin with one fault is reported by the promise it breaks, also in a chain. */
import { chained, reportsFaults } from '../test/toy.ts';

reportsFaults(chained);
