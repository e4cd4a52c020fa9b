/** resolv.conf(5) as a result's DNS, read the way the reference reads it. */
import type { Dns } from './result.ts';

/** The reference refuses a line this long, newline not counted. */
const longestLine = 64 * 1024;

/** `nameserver` lines add up, the last `domain` wins, `search` and `options` take all their words and add up too.
 *  What it does not know it skips; the text of addresses is not checked. */
export function parseResolvConf(text: string): Dns {
  const nameservers: string[] = [];
  const search: string[] = [];
  const options: string[] = [];
  let domain = '';
  for (const whole of text.split('\n')) {
    if (isTooLong(whole)) throw new Error('bufio.Scanner: token too long');
    const line = whole.trim(); // takes a byte order mark away too, which hides the first keyword from the reference
    if (line.startsWith('#') || line.startsWith(';')) continue;
    const [keyword, first, ...rest] = line.split(/\s+/);
    if (first === undefined) continue;
    if (keyword === 'nameserver') nameservers.push(first);
    else if (keyword === 'domain') domain = first;
    else if (keyword === 'search') search.push(first, ...rest);
    else if (keyword === 'options') options.push(first, ...rest);
  }
  return {
    ...(nameservers.length > 0 && { nameservers }),
    ...(domain !== '' && { domain }),
    ...(search.length > 0 && { search }),
    ...(options.length > 0 && { options }),
  };
}

/** In bytes. Nearly every line is so short that its characters need not be encoded to tell. */
function isTooLong(line: string): boolean {
  return line.length * 3 >= longestLine && new TextEncoder().encode(line).length >= longestLine;
}
