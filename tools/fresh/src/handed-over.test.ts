import { expect, test } from 'vitest';
import { acquireSettings, codename, environmentFor } from './handed-over.ts';

test('proxies, registries and certificates are handed over, and nothing else of the environment', () => {
  const machine = {
    https_proxy: 'http://outside.example:3128',
    NO_PROXY: 'localhost',
    npm_config_registry: 'http://packages.example/',
    NODE_EXTRA_CA_CERTS: '/etc/ssl/own.crt',
    npm_config_prefix: '/usr/local',
    npm_config_cache: '/root/.npm',
    npm_config_noproxy: '',
    PATH: '/usr/bin',
    HOME: '/root',
    CNI_DEBUG: 'netlink',
  };
  expect(Object.keys(environmentFor(machine))).toEqual([
    ...['https_proxy', 'NO_PROXY', 'npm_config_registry', 'NODE_EXTRA_CA_CERTS', 'npm_config_noproxy'],
  ]);
});

test('of apt, how it downloads and not what', () => {
  const dump = [
    'Acquire "";',
    'Acquire::http::Proxy "http://outside.example:3128";',
    'Acquire::https::CaInfo "/etc/ssl/own.crt";',
    'Acquire::Check-Valid-Until "false";',
    'Acquire::IndexTargets::deb::Packages::MetaKey "x";',
    'Acquire::Languages:: "en";',
    'Acquire::http::Proxy "";',
  ];
  expect(acquireSettings(dump.join('\n')).trim().split('\n')).toEqual(dump.slice(1, 4));
});

test('the release of a machine is its code name', () => {
  expect(codename('ID=debian\nVERSION_CODENAME=bookworm\nX=y\n')).toBe('bookworm');
});
