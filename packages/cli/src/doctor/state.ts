/** Probes of the attachments themselves: their links and addresses, what their plugins' CHECK says, and what is left over. */
import { formatIp } from '@cni-ts/address/ip';
import { UnixSocket } from '@cni-ts/libc/unix-socket';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import { objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { errorText } from '@cni-ts/spec/cni-error';
import { stateProblems } from '../explain/of-container.ts';
import { many } from '../many.ts';
import { nameOf } from '../node/problem.ts';
import { ruleName } from '../node/rules-here.ts';
import { rememberedList } from '../remembered-list.ts';
import type { Found, Probe } from './probe.ts';

/** CHECK of each, by its plugins, with what it was added with. */
export const checks: Probe = {
  name: 'checks',
  async run({ call, sight, attached, withoutRules, until }) {
    const found: Found[] = [];
    const unknown: string[] = [];
    let [done, late, skipped, unchecked] = [0, 0, 0, 0];
    for (const one of attached) {
      if (!one.lives || one.unread !== undefined) continue;
      const attachment = nameOf(one);
      const place = sight.inside.get(one.netns);
      if (place instanceof Error) {
        unknown.push(`${attachment}: its namespace cannot be looked at: ${place.message}`);
        continue;
      }
      const problems = stateProblems(sight, one);
      found.push(...problems.map((problem) => ({ ...problem, attachment })));
      if (problems.length > 0) continue;
      // That its rules are missing is said, and its plugins would say no more.
      if (withoutRules.has(one)) skipped++;
      else if (performance.now() > until) late++;
      else {
        try {
          const list = rememberedList(one.cached);
          // That a plugin is not there is said, and its CHECK would say no more.
          if (list.plugins.some(({ type }) => call.runtime.programOf(type) === undefined)) {
            unchecked++;
            continue;
          }
          if (list.disableCheck || isOld(list.cniVersion)) continue;
          done++;
          await call.runtime.checkNetworkList(list, one.cached);
        } catch (error) {
          const why = textOf(error);
          const late = why.includes('signal: killed') ? ' (a plugin did not answer in time)' : '';
          const message = `${attachment}: CHECK: ${why}${late}`;
          found.push({ code: 'CNI3005', message, cure: 'cnitool repair --plan', attachment });
        }
      }
    }
    if (late > 0) unknown.push(`${many(late, 'attachment')} for want of time`);
    if (unchecked > 0) unknown.push(`${many(unchecked, 'attachment')} whose plugins are missing`);
    if (skipped > 0) unknown.push(`${many(skipped, 'attachment')} whose rules are missing`);
    return { found, fine: done === 0 ? undefined : many(done, 'attachment'), unknown };
  },
};

/** CHECK came with 0.4.0. */
function isOld(version: string): boolean {
  return version === '' || /^0\.[1-3]\./.test(version);
}

/** Two containers that live with one address. */
export const duplicates: Probe = {
  name: 'duplicates',
  run({ sight }) {
    const holders = new Map<string, string[]>();
    for (const one of sight.attached) {
      // On other wires (macvlan on two masters) one address may be there twice.
      if (!one.lives || !['bridge', 'ptp'].includes(String(one.plugins[0]?.type))) continue;
      for (const { ip } of one.addresses) {
        const text = formatIp(ip);
        holders.set(text, [...(holders.get(text) ?? []), nameOf(one)]);
      }
    }
    const found = [...holders].flatMap(([ip, names]): Found[] =>
      names.length < 2
        ? []
        : [{ code: 'CNI3014', message: `${ip} is of ${names.join(' and ')}`, cure: 'restart one of them' }],
    );
    return { found };
  },
};

/** Links and rules that say whose they are, where nothing is remembered of that attachment. */
export const leftOver: Probe = {
  name: 'left over',
  run({ sight }) {
    const found: Found[] = [];
    const tell = (what: string, network: string | undefined, containerId: string | undefined) => {
      if (containerId === undefined || network === undefined) return;
      found.push({
        code: 'CNI3013',
        message: `${what} is of ${containerId} of ${network}, of which nothing is remembered`,
        cure: `cnitool gc ${network} --stale`,
      });
    };
    for (const { name, alias } of sight.host.links) {
      const { attached, said } = sight.whose(alias);
      if (attached.length === 0) tell(`link ${name}`, said?.network, said?.containerId);
    }
    const chains = new Set<string>();
    for (const rule of sight.rules.rules) {
      const { attached, said } = sight.whose(rule.comment);
      const key = `${said?.network} ${said?.containerId} ${rule.table}`;
      // A name that was cut may be one that is known.
      if (attached.length > 0 || said?.cut || chains.has(key)) continue;
      chains.add(key);
      tell(ruleName(rule), said?.network, said?.containerId);
    }
    if (found.length === 0 || sight.attached.length > 0) return { found };
    const why = `${found.length} links and rules say that they are of containers of which ${sight.cacheDir} remembers nothing: set CNI_CACHE_DIR where a runtime remembers them elsewhere`;
    return { found: [], unknown: [why] };
  },
};

const defaultSocket = '/run/cni/dhcp.sock';
/** In milliseconds: to somebody who connects a daemon answers at once. */
const patience = 2000;

export const dhcp: Probe = {
  name: 'dhcp daemon',
  run({ sight }) {
    const plugins = [
      ...sight.files.flatMap(({ document: { json } }) =>
        Array.isArray(json.plugins) ? json.plugins : [json],
      ),
      ...sight.attached.flatMap((one) => one.plugins),
    ];
    const sockets = new Set(
      plugins.flatMap((one) => {
        const ipam = objectMember(one, 'ipam');
        return textMember(ipam, 'type') === 'dhcp'
          ? [textMember(ipam, 'daemonSocketPath') || defaultSocket]
          : [];
      }),
    );
    const found = [...sockets].flatMap((path): Found[] => {
      try {
        UnixSocket.connect(path, patience).close();
        return [];
      } catch (error) {
        const message = `the dhcp daemon does not answer at ${path}: ${errorText(error)}`;
        return [{ code: 'CNI4013', message, cure: 'systemctl start cni-dhcp.socket' }];
      }
    });
    return { found, fine: sockets.size === 0 ? undefined : [...sockets].join(', ') };
  },
};
