import type { ConfigFinding, Path } from '@cni-ts/skeleton/config-findings';
import type { FindingCode, FindingLevel } from '@cni-ts/spec/finding-codes';

/** What is wrong in a file, and where. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** How many characters of the line it is about. */
  readonly width: number;
  /** RFC 6901, in the configuration; '' for all of it. */
  readonly pointer: string;
  readonly code: FindingCode;
  readonly level: FindingLevel;
  readonly message: string;
  readonly nearest?: string;
  /** The line as it stands in the file. */
  readonly text: string;
}

/** Something wrong at a place of a configuration, before it is known where that stands in the file. */
export type Draft = ConfigFinding;
export type { FindingCode, FindingLevel, Path };

export function error(code: FindingCode, path: Path, message: string, more: Partial<Draft> = {}): Draft {
  return { code, level: 'error', path, message, ...more };
}

export function warning(code: FindingCode, path: Path, message: string, more: Partial<Draft> = {}): Draft {
  return { code, level: 'warning', path, message, ...more };
}

export function note(code: FindingCode, path: Path, message: string, more: Partial<Draft> = {}): Draft {
  return { code, level: 'note', path, message, ...more };
}

/** Every draft below `path`. */
export function below(path: Path, drafts: readonly Draft[]): Draft[] {
  return drafts.map((one) => ({ ...one, path: [...path, ...one.path] }));
}

export function pointerOf(path: Path): string {
  return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
