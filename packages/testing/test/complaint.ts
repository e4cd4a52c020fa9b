/** What a check that rejects says, with the difference it found: for tests of the suites themselves. */
export async function complaint(check?: () => Promise<void>): Promise<string> {
  try {
    await check?.();
  } catch (error) {
    return `${(error as Error).message}\n${surplus(error as { expected?: unknown; actual?: unknown })}`; // reason: chai's
  }
  return 'nothing';
}

/** The lines of what was found that were not expected, and the other way round. */
function surplus({ expected, actual }: { expected?: unknown; actual?: unknown }): string {
  const [wanted, found] = [expected, actual].map((one) => (JSON.stringify(one, null, 1) ?? '').split('\n'));
  const beyond = (sign: string, lines: string[] = [], others: string[] = []) =>
    lines.filter((line) => !others.includes(line)).map((line) => sign + line);
  return [...beyond('-', wanted, found), ...beyond('+', found, wanted)].join('\n');
}
