/** The part of js-yaml that reads: of the whole package a bundler keeps what writes, too. */
import exception from '../../../node_modules/js-yaml/lib/exception.js';
import loader from '../../../node_modules/js-yaml/lib/loader.js';
import failsafe from '../../../node_modules/js-yaml/lib/schema/failsafe.js';

export const { loadAll } = loader;
export const FAILSAFE_SCHEMA = failsafe;
export const YAMLException = exception;
