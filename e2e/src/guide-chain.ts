/** How the chains of docs/guides/chains.md are tried. */

/** What a runtime hands to the plugins that ask for it. */
export const capabilities = JSON.stringify({
  portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  bandwidth: { ingressRate: 8_000_000, ingressBurst: 400_000, egressRate: 8_000_000, egressBurst: 400_000 },
});

/** Links that the kernel of a small virtual machine lacks: those chains are tried in guides.uml.test.ts. */
export function needsAnotherKernel(types: readonly string[]): boolean {
  return types.some((type) => ['vlan', 'ipvlan', 'vrf', 'dummy'].includes(type));
}
