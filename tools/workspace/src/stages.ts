/** The stages of `npm test`, in their order. */
export const stageNames = [
  'lint',
  'types',
  'build',
  'tests',
  'executables',
  'e2e',
  'torture',
  'cluster',
  'uml',
] as const;
export type Stage = (typeof stageNames)[number];
