/** What a command does that takes long and says nothing meanwhile: a line every quarter of a minute, so that nobody
 *  takes it for standing still. */
const everyMs = 15_000;

/** Waits for `work`; `say` gets a line such as `compiling is still running (30 s)` as long as it lasts. */
export async function during<T>(what: string, work: Promise<T>, say: (line: string) => void): Promise<T> {
  const started = performance.now();
  const ticking = setInterval(() => {
    say(`${what} is still running (${Math.round((performance.now() - started) / 1000)} s)`);
  }, everyMs);
  try {
    return await work;
  } finally {
    clearInterval(ticking);
  }
}
