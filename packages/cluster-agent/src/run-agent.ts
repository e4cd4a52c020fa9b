/** The program: command line, signals, socket, metrics. */
import { errorText } from '@cni-ts/spec/cni-error';
import packageJson from '../package.json' with { type: 'json' };
import { Agent } from './agent.ts';
import { Door, isAnswered } from './door.ts';
import { EtcdLedger } from './etcd-ledger.ts';
import { type Log, logTo } from './log.ts';
import { makeMetrics } from './metrics.ts';
import { Observatory } from './observatory.ts';
import { type CommandLine, readSettings, type Settings, SettingsError, usage } from './settings.ts';
import { StateFolder, type Word } from './state-folder.ts';

/** Of one try and of one request to etcd. What may be several requests has its end by member.ts, after 0.9 seconds where a
 *  plugin waits: so a second endpoint has time left where the first is silent. */
const patience = { tryFor: 700, waitFor: 1500 };

/** Runs until a signal ends it. Returns the exit status: 2 where it is how it was called, 1 where it cannot start. */
export async function runAgent(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  let line: CommandLine;
  try {
    line = readSettings(argv, env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`cluster-agent: ${error.message}\n("cluster-agent --help" shows all options)\n`);
    return 2;
  }
  const { settings, words } = line;
  if (words.includes('help')) process.stdout.write(usage());
  else if (words.includes('version')) process.stdout.write(`cluster-agent ${packageJson.version}\n`);
  else
    return start(
      settings,
      words.filter((word): word is Word => word !== 'help' && word !== 'version'),
      env,
    );
  return 0;
}

async function start(
  settings: Settings,
  words: readonly Word[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const log = logTo((text) => void process.stderr.write(text), settings.log);
  try {
    const fd = inheritedSocket(env);
    if (words.length > 0 && (await isAnswered(settings.socket))) {
      const state = new StateFolder(settings.stateFolder);
      for (const word of words) state.say(word);
      process.stdout.write(`the agent at ${settings.socket} was told\n`);
      return 0;
    }
    for (const word of words) new StateFolder(settings.stateFolder).say(word);
    await serve(settings, log, fd);
    return 0;
  } catch (error) {
    log.error(`cluster-agent cannot start: ${errorText(error)}`);
    return 1;
  }
}

async function serve(settings: Settings, log: Log, fd: number | undefined): Promise<void> {
  const { version } = packageJson;
  const ended = new Promise<string>((done) => {
    process.on('SIGTERM', () => done('SIGTERM'));
    process.on('SIGINT', () => done('SIGINT'));
  });
  const metrics = makeMetrics();
  metrics.ofProcess();
  const connect = (etcd: NonNullable<Settings['etcd']>, prefix: string) =>
    new EtcdLedger({ ...etcd, ...patience }, prefix);
  const agent = new Agent({ settings, version, log, metrics, connect });
  // Before it can be reached: a signal that nobody listens for ends it.
  process.on('SIGHUP', () => {
    log.info('certificates and passwords are read again');
    agent.reconnect();
  });
  const door = await Door.open(
    {
      path: settings.socket,
      answer: (line, signal) => agent.answer(line, signal),
      tell: (sentence) => log.warn(sentence),
    },
    fd,
  );
  const observatory =
    settings.listen === undefined ? undefined : await Observatory.open(settings.listen, metrics, agent);
  log.info(`cluster-agent ${version} of node ${settings.node} answers at ${settings.socket}`, {
    etcd: settings.etcd?.endpoints.join() ?? 'as networks say',
  });
  const why = await ended;
  log.info(`${why}: ends, and answers first what was asked`);
  await door.close();
  await observatory?.close();
  await agent.close();
  // A request to an etcd that hangs would keep the process.
  setTimeout(() => process.exit(0), 1000).unref();
}

/** sd_listen_fds(3): the socket that systemd has opened, so that nobody is refused while the agent is restarted. */
function inheritedSocket(env: Readonly<Record<string, string | undefined>>): number | undefined {
  if (env.LISTEN_PID !== String(process.pid) || Number(env.LISTEN_FDS) < 1) return undefined;
  return 3;
}
