/** All releases of the CNI specification, oldest first. By itself, for VERSION needs nothing else. */
export const specVersions: readonly string[] = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
];
