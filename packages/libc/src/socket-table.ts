/** The kernel's tables of sockets: /proc/net/udp and its like, of the thread's own network namespace. */
import { readText } from './file.ts';
import { isMissing } from './syscall-error.ts';

/** Whether a program has this UDP port, on whatever address. The second column has address and port in hex. */
export function hasUdpPort(port: number): boolean {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['udp', 'udp6'].some((name) =>
    table(name)
      .split('\n')
      .some((line) => line.trim().split(/\s+/)[1]?.endsWith(ending)),
  );
}

/** '' where a kernel without IPv6 has none. */
function table(name: string): string {
  try {
    return readText(`/proc/thread-self/net/${name}`);
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}
