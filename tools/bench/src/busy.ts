/** Whether the machine did something else while a scenario was measured: told by its floor, the start of an empty
 *  program, which is taken before each round of every scenario. */
import { figure } from './figure.ts';
import { quantile } from './statistics.ts';

/** The floor of one scenario, in milliseconds. */
export interface Floor {
  readonly title: string;
  readonly least: number;
  readonly median: number;
  readonly mean: number;
}

export function floorOf(title: string, values: readonly number[]): Floor {
  return {
    title,
    least: quantile(values, 0),
    median: quantile(values, 0.5),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
  };
}

/** On machines with nothing else to do the median is about 1.3 times the least, and the mean, with a slow start now and
 *  then, up to twice; with twenty programs waiting for two processors, 1.5 to 3 times and 5 to 10 times. */
const most = { median: 1.75, mean: 3, ofQuietest: 1.6 } as const;

/** The floors that a machine with nothing else to do does not have: that vary, or are far above the run's lowest. */
export function busy(floors: readonly Floor[]): Floor[] {
  const quietest = Math.min(...floors.map(({ median }) => median));
  return floors.filter(
    ({ least, median, mean }) =>
      median > most.median * least || mean > most.mean * least || median > most.ofQuietest * quietest,
  );
}

/** What is said of them. */
export function busyNotes(floors: readonly Floor[]): string[] {
  const lowest = Math.min(...floors.map(({ least }) => least));
  return busy(floors).map(
    ({ title, median, mean }) =>
      `${title}: the machine was busy with something else. An empty program took ${figure(median)} ms (median) and ` +
      `${figure(mean)} ms (mean), at its best in this run ${figure(lowest)} ms: measure again.`,
  );
}
