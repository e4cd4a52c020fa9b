/** Every state that can be reached, shortest way first. */
import { firstWorld, type Setting, steps, violation, type World } from './model.ts';

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  /** The shortest way to a state that must not be: its steps, and what is wrong. */
  readonly counterexample?: readonly string[];
}

/** `visit` sees each state once. Throws where there are more than `most`. */
export function explore(
  setting: Setting,
  { most, visit }: { most: number; visit?: (world: World, at: number) => void },
): Explored {
  const first = canonical(firstWorld(setting));
  const seen = new Map<string, number>([[first, 0]]);
  const texts = [first];
  const cameFrom: number[] = [-1];
  const labels: string[] = [''];
  let transitions = 0;
  for (let at = 0; at < texts.length; at++) {
    const world: World = JSON.parse(texts[at]!);
    visit?.(world, at);
    for (const { label, world: next } of steps(world, setting)) {
      transitions++;
      const text = canonical(next);
      if (seen.has(text)) continue;
      seen.set(text, texts.length);
      texts.push(text);
      cameFrom.push(at);
      labels.push(label);
      const wrong = violation(next, setting);
      if (wrong === undefined) continue;
      const way = [wrong];
      for (let i = texts.length - 1; i > 0; i = cameFrom[i]!) way.unshift(labels[i]!);
      return { states: texts.length, transitions, counterexample: way };
    }
    if (texts.length > most) throw new Error(`more than ${most} states: give the model less to do`);
    texts[at] = '';
  }
  return { states: texts.length, transitions };
}

/** The same text for states that differ only in the order of what has none, and in the names of revisions and claims, of
 *  which only the equality counts. */
export function canonical(world: World): string {
  const net = [
    ...new Set(world.net.filter((one) => !isOver(world, one)).map((one) => JSON.stringify(one))),
  ].sort();
  const entries = Object.entries(world.etcd.entries).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify({
    ...world,
    etcd: { entries: Object.fromEntries(entries), nodes: world.etcd.nodes },
    net: [],
  });
  const whole = `${text.slice(0, text.indexOf('"net":[]'))}"net":[${net.join()}]${text.slice(text.indexOf('"net":[]') + 8)}`;
  const names = new Map<string, string>();
  return whole.replace(/"[rc]\d+"/g, (name) => {
    const known = names.get(name);
    if (known !== undefined) return known;
    const given = `"${name[1]}${names.size + 1}"`;
    names.set(name, given);
    return given;
  });
}

/** Answers to a claim that is settled: it never comes back, so they say nothing any more. */
function isOver({ machines }: World, one: World['net'][number]): boolean {
  if (!('tell' in one)) return false;
  const { tell } = one;
  if (tell.what !== 'claimed' && tell.what !== 'taken' && tell.what !== 'looked') return false;
  return !machines[one.node]!.pool?.tries.some(({ claim }) => claim === tell.claim);
}
