import { expect, test } from 'vitest';
import { ownNamespace, ownNetfilter } from './namespace.ts';

/** A call that can be ended. */
function someCall() {
  const releases: (() => void)[] = [];
  return {
    onEnd: (release: () => void) => void releases.push(release),
    end() {
      for (const release of releases.splice(0).reverse()) release();
    },
    get held() {
      return releases.length;
    },
  };
}

test.each([
  ['namespace', ownNamespace],
  ['netfilter', ownNetfilter],
])("the plugin's own %s is opened once for a call, and anew for another", (_name, open) => {
  const [one, another] = [someCall(), someCall()];
  const first = open(one);
  const { held } = one;
  expect(held).toBeGreaterThan(0);
  expect(open(one)).toBe(first);
  expect(one.held).toBe(held);
  expect(open(another)).not.toBe(first);
  one.end();
  another.end();
});
