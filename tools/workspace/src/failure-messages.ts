/** Of vitest: how much of both sides a failure's message tells. The list at the end of `npm test` has nothing else. */
export const chaiConfig = { truncateThreshold: 400 };
