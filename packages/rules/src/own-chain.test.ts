import { describe, expect, test } from 'vitest';
import { isAnothers, namingComment, namingNoneOf, readNamed } from './iptables-owner.ts';
import { ownChain } from './own-chain.ts';

const names = { usual: 'CNI-a', spare: 'CNI-b' };

describe('an attachment’s chain', () => {
  const find = (there: readonly string[], taken = false) =>
    ownChain(
      names,
      (name) => there.includes(name),
      () => taken,
    );

  test('is to have the usual name, also where it stands under the spare one', () => {
    expect(find([])).toEqual({ name: 'CNI-a', standing: [] });
    expect(find(['CNI-a'])).toEqual({ name: 'CNI-a', standing: ['CNI-a'] });
    expect(find(['CNI-b'], true)).toEqual({ name: 'CNI-a', standing: ['CNI-b'] });
  });

  test('has the spare name where somebody else has the usual one', () => {
    expect(find(['CNI-a'], true)).toEqual({ name: 'CNI-b', standing: [] });
    expect(find(['CNI-a', 'CNI-b'], true)).toEqual({ name: 'CNI-b', standing: ['CNI-b'] });
  });
});

describe('a comment that names its owner', () => {
  const owner = { network: 'net', containerId: 'c1' };

  test('is read back, whatever word stands before', () => {
    expect(readNamed(namingComment(owner))).toEqual(owner);
    expect(readNamed(namingComment(owner, 'dnat '))).toEqual(owner);
    expect(readNamed('of somebody')).toBeUndefined();
    expect(readNamed(undefined)).toBeUndefined();
  });

  test('is cut to what iptables takes, and still nobody else’s', () => {
    const long = { network: 'net', containerId: 'c'.repeat(300) };
    const comment = namingComment(long, 'dnat ', '..');
    expect(comment).toHaveLength(255);
    expect(readNamed(comment)?.network).toBe('net');
    expect(isAnothers(comment, long)).toBe(false);
    expect(isAnothers(comment, owner)).toBe(true);
  });

  test('is collected when it names none of the valid ones of its network', () => {
    const { owns } = namingNoneOf('net', [owner]);
    expect(owns(namingComment(owner))).toBe(false);
    expect(owns(namingComment({ ...owner, containerId: 'c2' }))).toBe(true);
    expect(owns(namingComment({ network: 'other', containerId: 'c2' }))).toBe(false);
    expect(owns(undefined)).toBe(false);
  });
});
