/** All releases of the CNI specification, oldest first. In this file alone, for VERSION needs nothing else. */
export const specVersions: readonly string[] = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
];

/** The one that results and answers are in unless somebody asks for an older one. */
export const newestVersion = '1.1.0';
