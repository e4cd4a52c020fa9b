/** `cnitool inspect`: the node as a picture. */
import { terminalColumns } from '@cni-ts/libc/terminal';
import { errorText } from '@cni-ts/spec/cni-error';
import { layOutWhole } from './inspect/layout.ts';
import { lookAtNode } from './inspect/look.ts';
import { pageText } from './inspect/page.ts';
import { type Picture, pictureOf } from './inspect/picture.ts';
import { svgText } from './inspect/svg.ts';
import { terminalText } from './inspect/terminal.ts';
import { CannotLookError, type Verb, type VerbCall } from './verb.ts';

export const inspect: Verb = {
  about: 'Show the node as a picture: bridges, links, containers, their addresses, ports and limits',
  examples: [
    { call: 'cnitool inspect', about: 'as a tree, in this terminal' },
    { call: 'cnitool inspect --html > node.html', about: 'as one page for a browser, with a search box' },
    { call: 'cnitool inspect --svg > node.svg', about: 'as a drawing, for a slide or a report' },
  ],
  needs: [],
  options: [
    { name: 'html', about: 'one page for a browser, which needs nothing else' },
    { name: 'svg', about: 'a drawing' },
    { name: 'json', about: 'print what is drawn as JSON (dist/schemas/cnitool-inspect.json)' },
  ],
  async run(call) {
    const picture = look(call);
    if (picture.problems > 0) call.ends(1);
    const isAsked = (name: string) => call.options(name) !== undefined;
    if (isAsked('json')) return `${JSON.stringify(picture, undefined, 2)}\n`;
    if (isAsked('html')) return pageText(picture);
    if (isAsked('svg')) return svgText(layOutWhole(picture), `Networks of ${picture.node}`);
    const columns = terminalColumns(1);
    return terminalText(picture, {
      width: Math.max(40, Number(call.env.COLUMNS) || columns || 100),
      colour: columns !== undefined && !call.env.NO_COLOR && call.env.TERM !== 'dumb',
    });
  },
};

function look({ runtime }: VerbCall): Picture {
  try {
    return pictureOf(lookAtNode(runtime));
  } catch (error) {
    throw new CannotLookError(`this node cannot be looked at: ${errorText(error)}`);
  }
}
