/** What a machine has set up so that npm and apt reach their archives (a mirror, a proxy, a certificate), for a system
 *  that is to reach the same. A container gets these from who starts it. */
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

/** Variables that name archives, proxies and certificates. npm passes many more on to what it runs. */
const names =
  /^((https?|ftp|all|no)_proxy|npm_config_(registry|(https?_?-?|no_?)?proxy|cafile|ca|strict_ssl|@.*|\/\/.*)|node_extra_ca_certs|ssl_cert_(file|dir)|curl_ca_bundle|git_ssl_cainfo)$/i;

/** Of the machine's environment, what a fresh system gets too. */
export function environmentFor(
  machine: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const kept = Object.entries(machine).flatMap(([name, value]) =>
    value !== undefined && names.test(name) ? [[name, value] as const] : [],
  );
  return Object.fromEntries(kept);
}

/** Settings of apt's downloads, without those of what is downloaded. */
export function acquireSettings(dump: string): string {
  const ours = /^Acquire::(https?::|Check-|Retries|ForceIPv[46]|AllowInsecure).* "[^"]+";$/;
  return dump
    .split('\n')
    .filter((line) => ours.test(line))
    .map((line) => `${line}\n`)
    .join('');
}

/** Puts the machine's settings into the system below `root`. */
export async function handOver(root: string, environment: Readonly<Record<string, string>>): Promise<void> {
  const copy = (from: string, to = from) => {
    const target = join(root, to);
    if (!existsSync(from) || existsSync(target)) return;
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from, target, { recursive: true, dereference: true });
  };
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) copyFileSync(file, join(root, file));
  for (const file of ['/etc/apt/auth.conf', '/etc/apt/auth.conf.d']) copy(file);
  const { stdout: dump } = await execa('apt-config', ['dump', 'Acquire']);
  const acquire = acquireSettings(dump);
  writeFileSync(join(root, 'etc/apt/apt.conf.d/90machine'), acquire);

  const { stdout } = await execa('npm', ['config', 'ls', '-l', '--json']);
  const npm = JSON.parse(stdout) as Record<string, unknown>; // reason: npm's own format, read with care below
  const file = (name: string) => (typeof npm[name] === 'string' ? npm[name] : '');
  copy(file('userconfig'), '/root/.npmrc');
  copy(file('globalconfig'), '/usr/local/etc/npmrc');

  // Certificates, wherever one of the above says that they are.
  const text = [acquire, ...Object.values(environment), file('cafile')].join('\n');
  for (const [path] of text.matchAll(/\/[^\s"';:]+\.(?:crt|pem|cer)\b/g)) copy(path);
}

/** The machine's own release: `bookworm`. */
export function codename(osRelease = readFileSync('/etc/os-release', 'utf8')): string {
  return /^VERSION_CODENAME=(\w+)$/m.exec(osRelease)?.[1] ?? '';
}
