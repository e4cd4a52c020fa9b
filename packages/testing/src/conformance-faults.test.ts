/** The suite against itself: a plugin with one fault is reported by the promise it breaks. */
import { alone, reportsFaults } from '../test/toy.ts';

reportsFaults(alone);
