import { sendTraces } from './send-traces.ts';

const stdout = (text: string) => void process.stdout.write(text);
const stderr = (text: string) => void process.stderr.write(text);
void sendTraces(process.argv.slice(2), { env: process.env, stdout, stderr }).then((status) => {
  process.exitCode = status;
});
