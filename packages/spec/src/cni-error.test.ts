import { expect, test } from 'vitest';
import {
  CniError,
  cannotServe,
  ErrorCode,
  errorText,
  findCniError,
  messageOf,
  oneLine,
  toCniError,
} from './cni-error.ts';

test('one line is the message, and the details where there are any', () => {
  expect(oneLine(new CniError(11, 'busy'))).toBe('busy');
  expect(oneLine(new CniError(11, 'busy', 'try later'))).toBe('busy; try later');
});

test('the text of an error tells its causes, outermost first', () => {
  const cause = new Error('EEXIST', { cause: new CniError(7, 'taken', 'by eth0') });
  expect(errorText(new Error('could not add 10.1.2.3/24', { cause }))).toBe(
    'could not add 10.1.2.3/24: EEXIST: taken; by eth0',
  );
});

test('a cause whose words the message has already is not told twice', () => {
  expect(errorText(new Error('no link: ENODEV', { cause: new Error('ENODEV') }))).toBe('no link: ENODEV');
});

test('the text of gathered errors tells all of them', () => {
  const errors = [new Error('first'), new Error('second')];
  expect(errorText(new AggregateError(errors, 'DEL failed'))).toBe('DEL failed: first; second');
  expect(errorText(new AggregateError(errors))).toBe('2 failures: first; second');
});

test('an error that is its own cause has a finite text', () => {
  const error = new Error('odd');
  error.cause = error;
  expect(errorText(error)).toBe('odd');
  expect(findCniError(error)).toBeUndefined();
});

test('what is thrown need not be an Error', () => {
  expect(errorText('potato')).toBe('potato');
  expect(errorText(undefined)).toBe('undefined');
  expect(errorText(Object.create(null))).toBe('[object Object]');
  expect(toCniError('potato').message).toBe('potato');
});

test('the message of what was thrown is there for anything, without its causes', () => {
  expect(messageOf(new Error('no link', { cause: new Error('ENODEV') }))).toBe('no link');
  expect(messageOf(new TypeError())).toBe('TypeError');
  expect(messageOf(Object.create(null))).toBe('[object Object]');
});

test('that a plugin cannot serve ADD has its words and its code', () => {
  const cause = new Error('EROFS');
  expect(cannotServe('tuning', 'it is read-only', 'mount it', cause)).toMatchObject({
    code: 50,
    message: 'tuning cannot serve ADD: it is read-only',
    details: 'mount it',
    cause,
  });
  expect(cannotServe('bridge', 'no')).toMatchObject({ details: '' });
});

test('a CniError is found beneath wrappers and among gathered errors', () => {
  const inner = new CniError(1234, 'inner');
  expect(findCniError(inner)).toBe(inner);
  expect(findCniError(new Error('outer', { cause: inner }))).toBe(inner);
  expect(findCniError(new AggregateError([new Error('x'), new Error('y', { cause: inner })]))).toBe(inner);
  expect(findCniError(new Error('none', { cause: new Error('none') }))).toBeUndefined();
});

test('a plain error is answered with code 999 and its own words (protocol 27)', () => {
  expect(toCniError(new Error('potato'))).toMatchObject({
    code: ErrorCode.internal,
    message: 'potato',
    details: '',
  });
});

test('an error with a code is answered unchanged, even when wrapped (protocol 27)', () => {
  const inner = new CniError(1234, 'msg', 'details');
  expect(toCniError(inner)).toBe(inner);
  expect(toCniError(new Error('outer', { cause: new Error('middle', { cause: inner }) }))).toBe(inner);
  expect(toCniError(new AggregateError([inner], 'outer'))).toBe(inner);
});

test('the causes of a plain error are answered as details', () => {
  const error = new Error('could not add a route', { cause: new Error('RTM_NEWROUTE: EEXIST') });
  expect(toCniError(error)).toMatchObject({
    code: 999,
    message: 'could not add a route',
    details: 'RTM_NEWROUTE: EEXIST',
  });
});

test('failures gathered beside an error with a code are kept in the details', () => {
  const gathered = new AggregateError([new Error('rule stays'), new CniError(11, 'busy', 'lock')], 'DEL');
  expect(toCniError(new Error('outer', { cause: gathered }))).toMatchObject({
    code: 11,
    message: 'busy',
    details: 'lock; rule stays',
  });
});

test('details say nothing that the message says, and nothing twice', () => {
  const cause = new Error('RTM_NEWROUTE: EEXIST');
  expect(toCniError(new Error('could not add a route: RTM_NEWROUTE: EEXIST', { cause })).details).toBe('');
  const both = [new Error('no lock'), new Error('no lock')];
  expect(toCniError(new AggregateError(both, 'DEL failed')).details).toBe('no lock');
  expect(toCniError(new AggregateError(both, 'no lock\nno lock')).details).toBe('');
  const beside = new AggregateError([new CniError(11, 'no lock', 'held by 5'), ...both], 'x');
  expect(toCniError(beside)).toMatchObject({ message: 'no lock', details: 'held by 5' });
});
