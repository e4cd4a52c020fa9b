/** What `cnitool trace` tells: one line for each place that a packet passes. */
import { type FindingCode, findingCodes } from '@cni-ts/spec/finding-codes';

export interface Hop {
  /** `container`, `host`, `back` for the answer, `probe` for a packet that was sent. */
  readonly at: 'container' | 'host' | 'back' | 'probe';
  /** `fine`; `fault`: it ends here; `warning`: some packets end here; `note`: worth knowing. */
  readonly state: 'fine' | 'fault' | 'warning' | 'note';
  readonly code?: FindingCode;
  readonly text: string;
  /** What to do about it. */
  readonly cure?: string;
}

/** The hop that a packet does not pass. */
export class Dropped extends Error {
  readonly hop: Hop;

  constructor(hop: Omit<Hop, 'state'>) {
    super(hop.text);
    this.hop = { ...hop, state: 'fault' };
  }
}

/** The place, and what is wrong there, in the words of its code where nothing better is known. */
export function dropped(at: Hop['at'], code: FindingCode, text: string, cure: string): Dropped {
  return new Dropped({ at, code, text, cure: cure || findingCodes[code].cure });
}

const signs = { fine: '✓', fault: '✗', warning: '!', note: '·' } as const;
const width = Math.max(...(['container', 'host', 'back', 'probe'] as const).map((at) => at.length));

export function hopText({ at, state, code, text, cure }: Hop): string {
  const line = `${signs[state]} ${at.padEnd(width)}  ${code ? `${code} ` : ''}${text}\n`;
  return cure === undefined ? line : `${line}  ${' '.repeat(width)}  cure: ${cure}\n`;
}
