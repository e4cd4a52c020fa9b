/** Namespaces of network, mounts and processes with a first process of their own, in which a test may do what it likes. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Room {
  /** Its first process, as the machine counts: for nsenter. */
  readonly pid: string;
  /** Kills every process in it, and its mounts and links go with them. */
  close(): void;
}

/** `furnish`: a script that says `ready ‹its own number›` when all is laid out, and stays. Throws with what it said where this
 *  machine does not let it. */
export async function openRoom(furnish: string, env: NodeJS.ProcessEnv = process.env): Promise<Room> {
  const options = '--net --mount --pid --fork --kill-child --propagation private'.split(' ');
  const room: ChildProcess = spawn('unshare', [...options, 'bash', '-c', furnish], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  const close = () => void room.kill('SIGKILL');
  const pid = await new Promise<string>((done, fail) => {
    let said = '';
    room.stderr?.on('data', (text) => {
      said += text;
    });
    room.stdout?.on('data', (text) => done(String(text).trim().split(' ')[1] ?? ''));
    room.on('error', fail);
    room.on('close', () => fail(new Error(said)));
  });
  return { pid, close };
}
