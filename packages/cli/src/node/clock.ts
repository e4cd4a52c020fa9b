/** Times as a person on this node reads them. */

/** `09:12`, with the day where it is not today; in the node's own time zone. */
export function timeText(milliseconds: number, now = Date.now()): string {
  const at = new Date(milliseconds);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return day(at) === day(new Date(now)) ? time : `${day(at)} ${time}`;
}

/** `3 min`, `2 h`, `5 d` */
export function ageText(milliseconds: number, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - milliseconds) / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

function day(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
