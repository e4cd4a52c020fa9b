import { parseWithWholeNumbers } from '@cni-ts/skeleton/whole-numbers';

/** Reads JSON, and whole numbers written in digits as bigint: a rate has 64 bits, and a number is exact to 53. All
 *  other numbers (`1.5`, `1e3`) stay numbers, and so can be told apart. The text is valid JSON. */
export function exactIntegers(text: string): unknown {
  return parseWithWholeNumbers(text, BigInt);
}
