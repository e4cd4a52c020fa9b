/** dhcp: addresses by a DHCP server of the network, which a daemon of the node asks and renews. This plugin tells the
 *  daemon what to do; it does no network work of its own. */

import { member } from '@cni-ts/skeleton/network';
import { type DryRun, definePlugin, type RawRequest, type Request } from '@cni-ts/skeleton/plugin';
import { CniError, cannotServe, ErrorCode, errorText, messageOf, toCniError } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import { podOf, type Settings, schema, settingsOf } from './config.ts';
import { daemon } from './daemon.ts';
import { resultOf } from './gob-result.ts';
import type { GobObject } from './gob-types.ts';
import { howToStart, RpcClient, UnknownMethod } from './rpc-client.ts';
import { defaultSocket, methods } from './rpc-types.ts';

/** From the JSON as it is: DEL must find the daemon whatever else the configuration says. */
function socketPath({ json }: Pick<RawRequest, 'json'>): string {
  const ipam = member(json, 'ipam');
  const path =
    typeof ipam === 'object' && ipam !== null
      ? member(ipam as RawRequest['json'], 'daemonSocketPath')
      : undefined; // reason: any member may be asked for
  if (path !== undefined && typeof path !== 'string') {
    const why = `ipam.daemonSocketPath: expected a string, got ${JSON.stringify(path)}`;
    throw new CniError(
      ErrorCode.invalidConfig,
      `error obtaining socketPath: error parsing socket path conf: ${why}`,
    );
  }
  return path || defaultSocket;
}

function ask(request: Request<Settings>, method: string, stdin = request.stdin): GobObject {
  const client = RpcClient.connect(socketPath(request));
  try {
    return call(client, request, method, stdin);
  } finally {
    client.close();
  }
}

function call(client: RpcClient, request: Request<Settings>, method: string, stdin: string): GobObject {
  try {
    return client.call(method, {
      ContainerID: request.containerId,
      Netns: absolute(request.netns),
      IfName: request.ifname,
      Args: request.args,
      Path: '',
      NetnsOverride: '',
      StdinData: new TextEncoder().encode(stdin),
    });
  } catch (error) {
    if (error instanceof UnknownMethod || error instanceof CniError) throw error;
    throw new CniError(ErrorCode.internal, `error calling ${method}: ${messageOf(error)}`, '', {
      cause: error,
    });
  }
}

/** The daemon has another working directory. */
function absolute(path: string): string {
  return path === '' || path.startsWith('/') ? path : `${process.env.PWD ?? ''}/${path}`;
}

function add(request: Request<Settings>): Result {
  checkConfig(request);
  podOf(request.config);
  const answer = ask(request, methods.allocate);
  // A lease that was there before is a living container's.
  if (answer.Fresh === true) request.undo.add('the lease', () => void ask(request, methods.release));
  return resultOf(answer);
}

/** What is wrong with the configuration is said before anybody is asked; of options in the words in which the
 *  reference's daemon says it. */
function checkConfig(request: Request<Settings>): void {
  try {
    void request.config;
  } catch (error) {
    if (error instanceof CniError) throw error;
    const message = `error calling ${methods.allocate}: ${messageOf(error)}`;
    throw new CniError(ErrorCode.invalidConfig, message, '', { cause: error });
  }
}

/** The answer tells whether the lease was gone, and was taken again. */
function check(request: Request<Settings>): GobObject {
  const client = RpcClient.connect(socketPath(request));
  try {
    return call(client, request, methods.check, request.stdin);
  } catch (error) {
    if (!(error instanceof UnknownMethod)) throw error;
    // The reference's daemon: it looks after the lease it has, or takes one.
    return call(client, request, methods.allocate, request.stdin);
  } finally {
    client.close();
  }
}

function del(request: Request<Settings>): void {
  ask(request, methods.release);
}

/** Only of this network; the daemon of the reference does not know how, and then nothing is done. */
function gc(request: Request<Settings>): void {
  const attachments = request.validAttachments.map(({ containerId, ifname }) => ({
    containerID: containerId,
    ifname,
  }));
  const stdin = JSON.stringify({ name: request.network, 'cni.dev/valid-attachments': attachments });
  try {
    ask(request, methods.collect, stdin);
  } catch (error) {
    if (error instanceof UnknownMethod) return;
    // Without a daemon nobody holds a lease; the next one goes on with those on disk.
    if (error instanceof CniError && error.message.startsWith('error dialing')) {
      request.log(`dhcp: nothing was collected: ${error.message}`);
      return;
    }
    throw error;
  }
}

function status(request: Request<Settings>): void {
  try {
    void request.config;
  } catch (error) {
    throw cannotServe('dhcp', `the configuration is not valid: ${errorText(error)}`, '', error);
  }
  let client: RpcClient;
  try {
    client = RpcClient.connect(socketPath(request));
  } catch (error) {
    const { message } = toCniError(error);
    throw cannotServe('dhcp', message, howToStart, error);
  }
  try {
    call(client, request, methods.status, '{}');
  } catch (error) {
    // The reference's daemon does not tell.
    if (!(error instanceof UnknownMethod)) throw cannotServe('dhcp', errorText(error), '', error);
  } finally {
    client.close();
  }
}

/** What a server will answer is not known before it is asked, and asking takes an address. */
function plan(request: Request<Settings>): DryRun {
  const { request: options } = request.config;
  podOf(request.config);
  const text = `lease for ${request.containerId}/${request.network}/${request.ifname} from a DHCP server, asked for (options ${options.join(', ')}) by the daemon at ${socketPath(request)}`;
  return { changes: [{ sign: '+', text }], result: {} };
}

/** A lease that is gone is asked for again; another address than before is an error. */
function repair(request: Request<Settings>): string[] {
  return check(request).Fresh === true ? ['there was no lease any more'] : [];
}

export const dhcp = definePlugin({
  type: 'dhcp',
  config: schema,
  parse: (raw, request) => settingsOf(raw, request.args),
  add,
  check: (request) => void check(request),
  del,
  gc,
  status,
  plan,
  repair,
  services: { daemon },
});
