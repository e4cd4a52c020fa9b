/**
 * Says what was being done when something failed: `<what>: <why>`, with the failure as cause. Every level that
 * knows more than the one below wraps once.
 */
export function failing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${what}: ${why}`, { cause: error });
  }
}
