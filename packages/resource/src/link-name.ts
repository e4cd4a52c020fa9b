/**
 * The name of an attachment's link on the host: prefix and eight hex digits. It follows from the attachment alone,
 * so DEL finds the link without any record, also when the container's namespace cannot be reached any more.
 */
export function hostLinkName(prefix: string, network: string, containerId: string, ifname: string): string {
  return prefix + fnv1a(`${network}\0${containerId}\0${ifname}`).toString(16).padStart(8, '0');
}

/** FNV-1a, 32 bits: spreads well, and costs no crypto module at start-up. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  const bytes = new TextEncoder().encode(text);
  // By index: iterating over a typed array costs more than all the rest at start-up.
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash >>> 0;
}
