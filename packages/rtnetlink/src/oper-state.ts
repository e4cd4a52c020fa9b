/** IFLA_OPERSTATE by its number, RFC 2863. */
export const operStates = [
  'unknown',
  'not-present',
  'down',
  'lower-layer-down',
  'testing',
  'dormant',
  'up',
] as const;
