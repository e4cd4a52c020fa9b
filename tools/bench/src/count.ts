/** What a verb asks of the kernel and of other programs, counted by strace in a run that is not timed: the same way
 *  for every program, ours, Go's, and those they start. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from '@cni-ts/libc/child';
import { type Attachment, succeeded, type Verb } from './attachment.ts';
import { which } from './which.ts';

export interface Counts {
  /** Programs started, the plugin itself included. */
  readonly processes: number;
  /** Netlink messages sent, those inside rule transactions included. */
  readonly requests: number;
  /** Changes of nftables or legacy iptables that the kernel commits at once. */
  readonly transactions: number;
}

export function canCount(): boolean {
  return which('strace') !== undefined;
}

/** Drives an attachment through a verb and counts. A DEL that failed is called once more, and counts together. */
export function countVerb(attachment: Attachment, verb: Verb): Counts {
  const { host } = attachment;
  const output = join(host.dir, 'strace');
  const sum = { processes: 0, requests: 0, transactions: 0 };
  const once = () => {
    const calls = attachment.calls(verb);
    for (let next = calls.next(''); !next.done; ) {
      const { plugin, command, input } = next.value;
      const ended = host.start(counted(command, output), input).wait();
      const seen = countIn(readFileSync(output, 'utf8'));
      sum.processes += seen.processes;
      sum.requests += seen.requests;
      sum.transactions += seen.transactions;
      succeeded(attachment, verb, plugin, ended);
      next = calls.next(ended.stdout);
    }
  };
  try {
    once();
  } catch (error) {
    if (verb !== 'DEL') throw error;
    once();
  }
  return sum;
}

/** The command as strace runs it, with the system calls that count written to `output`. */
function counted(command: Command, output: string): Command {
  const options = ['-f', '-qq', '-e', 'trace=execve,execveat,sendto,sendmsg,setsockopt', '-e', 'signal=none'];
  const all = [...options, '-e', 'abbrev=none', '-o', output, '--', command.file, ...command.args];
  return new Command(which('strace') ?? 'strace', all, command.env);
}

/** Counts in what strace wrote; its exec of the program is the first process. Lines begin with a thread's number; a call that another thread interrupted is told by two lines, the arguments in
 *  the first and the outcome in the second. */
export function countIn(text: string): Counts {
  let [processes, requests, transactions] = [0, 0, 0];
  for (const line of text.split('\n')) {
    if (/^\d+ +(execve|execveat)\(.*= 0$/.test(line)) processes++;
    else if (/^\d+ +<\.\.\. execve(at)? resumed>.*= 0$/.test(line)) processes++;
    else if (/^\d+ +send(to|msg)\(/.test(line)) {
      requests += line.match(/\{nlmsg_len=|\{len=\d+, type=/g)?.length ?? 0;
      transactions += line.match(/NFNL_MSG_BATCH_BEGIN/g)?.length ?? 0;
    } else if (/^\d+ +setsockopt\(.*SO_SET_REPLACE/.test(line)) transactions++;
  }
  return { processes, requests, transactions };
}
