/** Where the system keeps iptables and its like. */
const folders: readonly string[] = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * PATH, and after it the folders that only a runtime's has. That of cron and of some shells is /usr/bin:/bin: plugins would
 * find no iptables, look for rules in the other backend than the runtime made them in, and repair would make them twice.
 */
export function systemPath(path: string): string {
  const given = path.split(':');
  return [...given, ...folders.filter((one) => !given.includes(one))].join(':');
}
