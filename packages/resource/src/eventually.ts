/**
 * Looks until `look` says true, and has false when so many milliseconds are over. Between two looks are `pause`
 * milliseconds, each time twice as many, and at most `longest`.
 */
export async function eventually(
  look: () => boolean,
  patience: number,
  pause: number,
  longest: number,
): Promise<boolean> {
  const until = performance.now() + patience;
  for (let next = pause; !look(); next = Math.min(longest, next * 2)) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, next));
  }
  return true;
}
