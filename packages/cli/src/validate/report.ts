/** Findings as people and programs read them. */
import { many } from '../many.ts';
import { nameOf } from './file-rules.ts';
import type { Finding, FindingLevel } from './finding.ts';
import type { Outcome } from './validate.ts';

/** Each finding with its line, then how many there are. `files`: how many were looked at; `isFolder`: a runtime would choose
 *  among them. */
export function reportText(outcome: Outcome, files: number, isFolder: boolean): string {
  const told = outcome.findings.map(findingText).join('');
  return `${told}${summary(outcome, files, isFolder)}\n`;
}

/** Longer lines are cut around what is wrong. */
const widest = 160;

export function findingText({
  file,
  line,
  column,
  width,
  code,
  level,
  pointer,
  message,
  text,
}: Finding): string {
  const head = `${file}:${line}:${column} ${level} ${code} ${pointer === '' ? '' : `${pointer}: `}${message}\n`;
  const characters = Array.from(text.replaceAll('\t', ' '));
  if (characters.every((one) => one.trim() === '')) return head;
  const from =
    characters.length <= widest ? 0 : Math.max(0, Math.min(column - 1 - 40, characters.length - widest));
  const shown = characters.slice(from, from + widest);
  // What is indented alike in file and report needs no more of it.
  const indent = from === 0 ? shown.findIndex((one) => one !== ' ') : 0;
  const at = Math.max(0, column - 1 - from - indent);
  const under = '~'.repeat(Math.max(0, Math.min(width, shown.length - indent - at) - 1));
  return `${head}    ${shown.slice(indent).join('').trimEnd()}\n    ${' '.repeat(at)}^${under}\n`;
}

function summary({ findings, winner }: Outcome, files: number, isFolder: boolean): string {
  const counted = counts(findings);
  const parts = [many(counted.errors, 'error'), many(counted.warnings, 'warning')];
  if (counted.notes > 0) parts.push(many(counted.notes, 'note'));
  const total = `${parts.join(', ')} in ${many(files, 'file')}`;
  if (!isFolder) return total;
  return `${total}; ${winner ? `${winner.source.file} would win` : 'no file would win'}`;
}

export function counts(findings: readonly Finding[]): { errors: number; warnings: number; notes: number } {
  const of = (level: FindingLevel) => findings.filter((one) => one.level === level).length;
  return { errors: of('error'), warnings: of('warning'), notes: of('note') };
}

export function reportJson(outcome: Outcome, files: readonly string[]): string {
  const { findings, winner } = outcome;
  const report = {
    ...counts(findings),
    files,
    ...(winner && { winner: { file: winner.source.file, network: nameOf(winner) } }),
    findings,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}
