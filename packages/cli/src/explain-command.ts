/** `cnitool explain`: from any object that a person comes upon to the container, plugin and line of configuration it is of. */
import { explanationJson, explanationText } from './explain/explanation.ts';
import { explainObject } from './explain/object.ts';
import { Sight } from './node/sight.ts';
import type { Verb } from './verb.ts';

export const explain: Verb = {
  about:
    'Tell whose a container ID, address, host port, link, rule, mark or file is, and what is wrong with it',
  examples: [
    { call: 'cnitool explain 10.22.0.7', about: 'whose an address is, and all that its container has' },
    { call: 'cnitool explain 8080/tcp', about: 'where a port of the host leads' },
    { call: 'cnitool explain cni0', about: 'a link' },
  ],
  needs: [],
  least: 1,
  takes: 'object',
  options: [{ name: 'json', about: 'print it as JSON (dist/schemas/cnitool-explain.json)' }],
  async run(call) {
    const sight = new Sight(call);
    const explanation = explainObject(sight, call.args);
    if (explanation.problems.length > 0) call.ends(1);
    return call.options('json') !== undefined
      ? explanationJson(call.args.join(' '), sight, explanation)
      : explanationText(explanation);
  },
};
