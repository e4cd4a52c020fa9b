import { expect, test } from 'vitest';
import { systemPath } from './system-path.ts';

test("the system's folders come after those of PATH, each once", () => {
  expect(systemPath('/usr/bin:/bin')).toBe('/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin');
  expect(systemPath('/sbin:/mine:/usr/sbin')).toBe('/sbin:/mine:/usr/sbin:/usr/local/sbin');
});
