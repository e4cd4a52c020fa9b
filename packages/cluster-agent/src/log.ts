/** One line for each thing that happens, for an operator's eyes or for a collector of logs. */
export interface Log {
  info(message: string, more?: LogFields): void;
  warn(message: string, more?: LogFields): void;
  error(message: string, more?: LogFields): void;
}
export type LogFields = Readonly<Record<string, string | number | undefined>>;

/** `form` text: `2026-11-30T05:00:00.000Z warn  …, network=blue`; json: an object a line. */
export function logTo(write: (line: string) => void, form: 'text' | 'json'): Log {
  const line =
    (level: string) =>
    (message: string, more: LogFields = {}) => {
      const time = new Date().toISOString();
      const fields = Object.entries(more).filter(([, value]) => value !== undefined);
      if (form === 'json') {
        write(`${JSON.stringify({ time, level, message, ...Object.fromEntries(fields) })}\n`);
        return;
      }
      const rest = fields.map(([name, value]) => ` ${name}=${value}`).join('');
      // One line, whatever somebody put into a name.
      write(`${time} ${level.padEnd(5)} ${message}${rest}`.replace(/[\n\r]+/g, ' ').concat('\n'));
    };
  return { info: line('info'), warn: line('warn'), error: line('error') };
}
