import type { Shape } from './config-shape.ts';

/** The shapes of plugins' configurations by plugin type. Empty in source; the build of the multi-call program puts
 *  there what it makes of the schemas. */
export const compiledShapes: Readonly<Record<string, Shape>> = {};
