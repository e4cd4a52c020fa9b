/** Which namespace: the plugin's own, or that of the container. */
export type Place = 'host' | 'container';
