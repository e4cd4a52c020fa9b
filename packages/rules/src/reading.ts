import type { Action, Exception, ReadRule, When } from './rule-spec.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * What is read of a rule, bit by bit, in whichever language. Each method tells whether it could take what it was given:
 * not what is no value, nor a second for the same, which is more than a RuleSpec can say.
 */
export class Reading {
  protected readonly when: Mutable<When> = {};
  readonly #except: Mutable<Exception> = {};
  #action: Action | undefined;

  protected only<K extends keyof When>(key: K, value: When[K] | undefined): boolean {
    if (value === undefined || this.when[key] !== undefined) return false;
    this.when[key] = value;
    return true;
  }

  /** `negated`: none of these may hold. */
  protected operand<K extends keyof Exception>(
    negated: boolean,
    key: K,
    value: Exception[K] | undefined,
  ): boolean {
    if (!negated) return this.only(key, value as When[K]); // reason: an Exception's keys are a When's
    if (value === undefined || this.#except[key] !== undefined) return false;
    this.#except[key] = value;
    return true;
  }

  protected end(action: Action | undefined): boolean {
    if (!action || this.#action) return false;
    this.#action = action;
    return true;
  }

  protected result(whole: boolean, comment: string | undefined): ReadRule {
    const { protocol, port, ports } = this.when;
    const complete = protocol !== undefined || (port === undefined && ports === undefined);
    return {
      when: this.when,
      except: this.#except,
      action: this.#action,
      comment,
      whole: whole && complete && this.#action !== undefined,
    };
  }
}
