import type { Site } from '@cni-ts/resource/site';
import type { Interface } from '@cni-ts/spec/result';
import type { Config } from './config.ts';

/**
 * The master that a plugin before this one in the chain made: the one link of prevResult, where that lists one. '' where
 * prevResult tells none, or is that of this attachment, as REPAIR gets it. A link of a container is no master on the
 * host.
 */
export function chainedMaster({ linkInContainer }: Config, { request }: Site): string {
  const { prevResult, ifname, netns } = request;
  if (!prevResult) return '';
  const { interfaces = [] } = prevResult;
  if (interfaces.some(({ name, sandbox }) => name === ifname && sandbox === netns)) return '';
  const [only = noLink, ...others] = interfaces;
  const isIn = only.sandbox ? 'container' : 'host';
  const fits = isIn === 'host' || (linkInContainer && only.sandbox === netns);
  if (only.name && others.length === 0 && fits) return only.name;
  const listed = interfaces.map(told).join(', ') || 'none';
  throw new Error(
    `chained master failure. PrevResult lacks a single named interface: it lists ${listed}; name a link as master`,
  );
}

const noLink: Interface = { name: '' };

function told({ name, sandbox }: Interface): string {
  return sandbox ? `"${name}" in the container ${sandbox}` : `"${name}"`;
}
