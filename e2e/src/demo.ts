/**
 * `npm run demo`: the main job before your eyes. Builds, then works in a network and mount namespace of its own, so
 * that nothing of the machine is touched: two namespaces are attached by a conflist, talk to each other, to the
 * gateway and to a server outside; then everything is taken away again, and shown to be gone.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandLine } from '@cni-ts/setup/command-line';
import { execaSync } from 'execa';
import { bin, build, cyan, enter, title } from './demo-stage.ts';

const { values } = commandLine('npm run demo', { options: { inside: { type: 'boolean', default: false } } });

if (!values.inside) {
  await build();
  await enter(import.meta.filename, ['--net', '--mount', '--propagation', 'private']);
} else {
  show();
}

/** Runs a command, shows it as it would be typed, and its output. */
function sh(command: string, env: Record<string, string> = {}, quiet = false): string {
  if (!quiet) console.log(cyan(`$ ${command}`));
  const { stdout, stderr, exitCode } = execaSync('bash', ['-c', command], { env, reject: false, all: false });
  if (!quiet) {
    const text = [stdout, stderr].filter(Boolean).join('\n');
    if (text) console.log(text);
  }
  if (exitCode !== 0) {
    console.error(`failed: ${command}\n${stderr}`);
    process.exit(1);
  }
  return stdout;
}

/** What the demo must leave as it found it, volatile parts left out. */
function state(dir: string): string {
  return sh(
    `ip -brief link | awk '{print $1}' | sed 's/@.*//'; ip -brief address | awk '{$2="";print}' | grep -v '^cni0' ` +
      `; iptables-save -t nat 2>/dev/null | grep CNI- ; nft list ruleset 2>/dev/null | grep -c 'masquerade comment' ` +
      `; ls ${dir}/networks/demo 2>/dev/null | grep -E '^[0-9a-f.:]+$'; ls ${dir}/results 2>/dev/null; true`,
    {},
    true,
  );
}

function show(): void {
  const dir = mkdtempSync(join(tmpdir(), 'cni-demo-'));
  try {
    sh('mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up', {}, true);
    const conf = join(dir, 'net.d');
    mkdirSync(conf);
    writeFileSync(
      join(conf, '10-demo.conflist'),
      `${JSON.stringify(
        {
          cniVersion: '1.1.0',
          name: 'demo',
          plugins: [
            {
              type: 'bridge',
              bridge: 'cni0',
              isDefaultGateway: true,
              ipMasq: true,
              ipam: {
                type: 'host-local',
                dataDir: join(dir, 'networks'),
                ranges: [[{ subnet: '10.22.0.0/16' }], [{ subnet: 'fd00:22::/64' }]],
              },
            },
          ],
        },
        null,
        2,
      )}\n`,
    );
    const env = { CNI_PATH: bin, NETCONFPATH: conf, CNI_CACHE_DIR: dir, PATH: `${bin}:${process.env.PATH}` };

    title('A host, a server outside, two containers without network');
    sh('ip netns add outside && ip link add uplink type veth peer name eth0 netns outside');
    sh('ip address add 192.0.2.1/24 dev uplink && ip link set uplink up');
    sh('ip -n outside address add 192.0.2.2/24 dev eth0 && ip -n outside link set eth0 up');
    sh('ip netns add blue && ip netns add green && ip netns list');
    const attach = 'cnitool add demo /run/netns/warmup';
    sh('ip netns add warmup', {}, true);
    sh(`${attach} && cnitool del demo /run/netns/warmup && ip netns del warmup`, env, true);
    const before = state(dir);

    title('The network, as an operator writes it');
    sh(`cat ${conf}/10-demo.conflist`);

    title('ADD');
    sh('cnitool add demo /run/netns/blue', env);
    console.log();
    sh('cnitool add demo /run/netns/green', env);
    console.log();
    sh('ip -n blue -brief address show dev eth0 && ip -n green -brief address show dev eth0');
    sh(
      'cnitool check demo /run/netns/blue && cnitool check demo /run/netns/green && echo both as they should be',
      env,
    );

    title('Traffic: container to container, to the gateway, and out (the server has no route back)');
    const address = (name: string, family: string) =>
      sh(
        `ip -n ${name} -j -${family} address show dev eth0 scope global | sed 's/.*"local":"\\([^"]*\\)".*/\\1/'`,
        {},
        true,
      );
    sh(`ip netns exec blue ping -c 2 -i 0.2 -W 2 ${address('green', '4')}`);
    sh(`ip netns exec blue ping -c 2 -i 0.2 -W 2 ${address('green', '6')}`);
    sh('ip netns exec blue ping -c 1 -W 2 10.22.0.1');
    sh('ip netns exec blue ping -c 2 -i 0.2 -W 2 192.0.2.2');

    title('What is on the host now');
    sh('ip -brief link show master cni0');
    sh(
      '{ iptables-save -t nat 2>/dev/null; nft list table inet cni_plugins_masquerade 2>/dev/null; } | grep -iE "CNI-|masquerade" || true',
    );
    sh(`ls ${dir}/networks/demo`);

    title('DEL');
    sh(
      'cnitool del demo /run/netns/blue && cnitool del demo /run/netns/green && cnitool del demo /run/netns/green',
      env,
    );
    const after = state(dir);
    if (after !== before) {
      console.error(`Something is left:\n--- before\n${before}\n--- after\n${after}`);
      process.exit(1);
    }
    sh('ip -brief link show master cni0; ip -n blue -brief link');
    console.log('\nLinks, addresses, rules and reservations are as they were before the two ADDs.');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
