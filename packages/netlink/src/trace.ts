type Print = (direction: '>' | '<', protocol: string, name: string, flags: number, value: unknown) => void;

let asked: { readonly print: Print | undefined } | undefined;

/** `CNI_DEBUG=netlink` prints every message to stderr, in the words of its table: the first tool of whoever debugs. */
export function trace(): Print | undefined {
  asked ??= { print: process.env.CNI_DEBUG?.split(',').includes('netlink') ? print : undefined };
  return asked.print;
}

function print(direction: string, protocol: string, name: string, flags: number, value: unknown): void {
  const body = JSON.stringify(value, (_key, member: unknown) => {
    if (member instanceof Uint8Array) return hexText(member);
    return typeof member === 'bigint' ? member.toString() : member;
  });
  process.stderr.write(`${direction} ${protocol} ${name} flags=0x${flags.toString(16)} ${body}\n`);
}

function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
