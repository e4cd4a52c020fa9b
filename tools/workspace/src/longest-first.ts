/** In which order vitest runs files of tests. Without results of an earlier run it knows their sizes only: a short file that
 *  waits for half a minute then comes last, when nothing else is left to run beside it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BaseSequencer, type TestSequencerConstructor, type TestSpecification } from 'vitest/node';

/** These first, in this order, and the others as vitest has them. Paths are below `root`; throws for one that is no file. */
export function longestFirst(root: string, files: readonly string[]): TestSequencerConstructor {
  const order = files.map((file) => join(root, file));
  const lost = order.filter((file) => !existsSync(file));
  if (lost.length > 0) throw new Error(`tests that should run first are not there: ${lost.join(', ')}`);
  const placeOf = ({ moduleId }: TestSpecification): number => {
    const at = order.indexOf(moduleId);
    return at === -1 ? order.length : at;
  };
  return class extends BaseSequencer {
    override async sort(all: TestSpecification[]): Promise<TestSpecification[]> {
      const sorted = await super.sort(all);
      return sorted.toSorted((one, other) => placeOf(one) - placeOf(other));
    }
  };
}
