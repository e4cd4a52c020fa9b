import { expect, test } from 'vitest';
import { checkContainerId, checkInterfaceName, checkNameOfOld, checkNetworkName } from './names.ts';

function refusal(check: () => void): unknown {
  try {
    check();
  } catch (error) {
    return error;
  }
  return 'accepted';
}

test.each(['a', '0', 'A_1.b-c', 'x'.repeat(300)])('%s is a container ID and a network name', (value) => {
  checkContainerId(value);
  checkNetworkName(value);
});

test.each(['-x', '.x', '_x', 'a%%b', 'a b', 'a/b', 'a\n', 'ä', '../a'])(
  '%j is neither a container ID nor a network name',
  (value) => {
    expect(refusal(() => checkContainerId(value))).toMatchObject({
      code: 4,
      message: 'invalid characters in containerID',
      details: value,
    });
    expect(refusal(() => checkNetworkName(value))).toMatchObject({
      code: 7,
      message: 'invalid characters found in network name',
      details: value,
    });
  },
);

test('an empty name is reported as missing', () => {
  expect(refusal(() => checkContainerId(''))).toMatchObject({ code: 3, message: 'missing containerID' });
  expect(refusal(() => checkNetworkName(''))).toMatchObject({ code: 7, message: 'missing network name:' });
  expect(refusal(() => checkInterfaceName(''))).toMatchObject({
    code: 4,
    message: 'interface name is empty',
    details: '',
  });
});

test('an interface name has at most 15 bytes', () => {
  checkInterfaceName('a'.repeat(15));
  checkInterfaceName('ä'.repeat(7));
  for (const value of ['a'.repeat(16), 'ä'.repeat(8)]) {
    expect(refusal(() => checkInterfaceName(value))).toMatchObject({
      code: 4,
      message: 'interface name is too long',
      details: 'interface name should be less than 16 characters',
    });
  }
});

test.each(['.', '..'])('%s is no interface name', (value) => {
  expect(refusal(() => checkInterfaceName(value))).toMatchObject({
    code: 4,
    message: 'interface name is . or ..',
  });
  checkInterfaceName(`${value}a`);
});

test.each(['a/b', 'a:b', 'a b', 'a\tb', 'a\u0085b', 'a\u00a0b', 'a\u3000b', 'a\n'])(
  '%j is no interface name',
  (value) => {
    expect(refusal(() => checkInterfaceName(value))).toMatchObject({
      code: 4,
      message: 'interface name contains / or : or whitespace characters',
    });
  },
);

test('other characters, U+FEFF among them, are allowed in an interface name', () => {
  for (const value of ['eth0', 'veth@x', 'a\ufeffb', 'ü$']) checkInterfaceName(value);
});

test.each(['all', 'default'])('%s is no interface name, but one that DEL takes', (value) => {
  expect(refusal(() => checkInterfaceName(value))).toMatchObject({
    code: 4,
    message: `interface name is ${value}`,
    details: 'the kernel keeps that name for settings of all its links',
  });
  checkNameOfOld(value);
});

test('a template is no interface name, but one that DEL takes', () => {
  for (const value of ['eth%d', '%', 'ü%']) {
    expect(refusal(() => checkInterfaceName(value))).toMatchObject({
      code: 4,
      message: 'interface name contains %',
      details: 'the kernel takes it for a template and would give the link another name',
    });
    checkNameOfOld(value);
  }
});
