import { runAgent } from './run-agent.ts';

void runAgent(process.argv.slice(2), process.env).then((status) => {
  process.exitCode = status;
});
