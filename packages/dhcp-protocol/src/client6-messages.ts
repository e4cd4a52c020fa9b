/** What the DHCPv6 client says, by RFC 8415, section 18.2. */
import type { Client6State, Outgoing6, Phase6 } from './client6-state.ts';
import { fromHex } from './hex.ts';
import { MessageType6 } from './message6.ts';
import { codeOf6, type IaNa, type Options6 } from './options6.ts';

/** What each phase sends: its type, whether it names a server, an association, what it asks for. */
interface Form {
  readonly kind: Outgoing6['kind'];
  readonly type: number;
  readonly toServer?: true;
  readonly ia?: true;
  readonly asks?: true;
}

const forms: Readonly<Partial<Record<Phase6, Form>>> = {
  soliciting: { kind: 'solicit', type: MessageType6.solicit, ia: true, asks: true },
  requesting: { kind: 'request', type: MessageType6.request, toServer: true, ia: true, asks: true },
  confirming: { kind: 'confirm', type: MessageType6.confirm, ia: true },
  renewing: { kind: 'renew', type: MessageType6.renew, toServer: true, ia: true, asks: true },
  rebinding: { kind: 'rebind', type: MessageType6.rebind, ia: true, asks: true },
  releasing: { kind: 'release', type: MessageType6.release, toServer: true, ia: true },
  declining: { kind: 'decline', type: MessageType6.decline, toServer: true, ia: true },
  informing: { kind: 'information-request', type: MessageType6.informationRequest, asks: true },
};

/** The message of the phase; undefined where it has none. `at` is now, milliseconds of boottime. */
export function messageOf6(state: Client6State, at: number): Outgoing6 | undefined {
  const form = forms[state.phase];
  if (form === undefined) return undefined;
  const { config, phase, lease, offer } = state;
  const options: Options6 = {
    clientId: bytesOf(config.duid),
    elapsed: Math.min(0xffff, Math.max(0, Math.floor((at - state.began) / 10))),
  };
  if (form.toServer) options.serverId = bytesOf(offer?.serverId ?? lease?.serverId ?? '');
  if (form.ia) options.ia = [iaOf(state)];
  if (form.asks) {
    options.requestList = [...config.request];
    const wanted =
      phase === 'informing' ? (['informationRefresh', 'infMaxRt'] as const) : (['solMaxRt'] as const);
    for (const name of wanted) {
      if (!options.requestList.includes(codeOf6(name))) options.requestList.push(codeOf6(name));
    }
    const provided = Object.entries(config.provide ?? {});
    if (provided.length > 0) options.others = provided.map(([code, hex]) => [Number(code), bytesOf(hex)]);
  }
  if (phase === 'soliciting' && config.rapidCommit) options.rapidCommit = true;
  return { kind: form.kind, message: { type: form.type, xid: state.xid, options } };
}

/** Our one association, with the address it is about. Times are the server's to say. */
function iaOf({ config, phase, lease, offer, wanted }: Client6State): IaNa {
  const address = phase === 'soliciting' ? (lease?.address ?? wanted) : (offer?.address ?? lease?.address);
  const addresses = address === undefined ? [] : [{ address, preferred: 0, valid: 0 }];
  return { iaid: config.iaid, t1: 0, t2: 0, addresses };
}

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array(0);
}
