/** Every state that can be reached, shortest way first. */
import { hash } from 'node:crypto';
import { type Step, steps } from './model.ts';
import { type Fair, firstWorld, type Setting, textOf, violation, type World } from './world.ts';

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  /** The shortest way to a state that must not be: its steps, and what is wrong. */
  readonly counterexample?: readonly string[];
}

export interface Limits {
  /** Throws where there are more states. */
  readonly most: number;
  /** Sees each state once. */
  readonly visit?: (world: World, at: number) => void;
}

export function explore(setting: Setting, { most, visit }: Limits): Explored {
  const first = firstWorld(setting);
  const seen = new Set([hash('md5', canonical(first), 'base64')]);
  const worlds: (World | undefined)[] = [first];
  /** Of each: from which it came, and by which of the steps from there. A step itself would keep its whole world. */
  const cameFrom: number[] = [-1];
  const by: number[] = [-1];
  let transitions = 0;
  for (let at = 0; at < worlds.length; at++) {
    const world = worlds[at]!;
    worlds[at] = undefined;
    visit?.(world, at);
    for (const [step, { world: next }] of steps(world, setting).entries()) {
      transitions++;
      const name = hash('md5', canonical(next), 'base64');
      if (seen.has(name)) continue;
      seen.add(name);
      worlds.push(next);
      cameFrom.push(at);
      by.push(step);
      const wrong = violation(next, setting);
      if (wrong === undefined) continue;
      const way: number[] = [];
      for (let i = worlds.length - 1; i > 0; i = cameFrom[i]!) way.unshift(by[i]!);
      const counterexample = [...labelsOf(first, way, setting), wrong];
      return { states: worlds.length, transitions, counterexample };
    }
    if (worlds.length > most) throw new Error(`more than ${most} states: give the model less to do`);
  }
  return { states: worlds.length, transitions };
}

/** What the steps on a way are called. */
function labelsOf(from: World, way: readonly number[], setting: Setting): string[] {
  let world = from;
  return way.map((index) => {
    const step = steps(world, setting)[index]!;
    world = step.world;
    return step.label();
  });
}

/** The same text for states that differ only in the order of what has none, and in the names of revisions and claims, of
 *  which only the equality counts. */
export function canonical({ etcd, machines, net, fence, left }: World): string {
  let text = textOf(etcd);
  for (const { on, pool, file, used } of machines) {
    text += `|${on}${used}${pool ? textOf(pool) : ''}${textOf(file)}`;
  }
  text += `|${net.map(textOf).sort().join()}|${fence ? textOf(fence) : ''}|${textOf(left)}`;
  const names = new Map<string, string>();
  return text.replace(/"[rc]\d+"/g, (name) => {
    const known = names.get(name);
    if (known !== undefined) return known;
    const given = `"${name[1]}${names.size}"`;
    names.set(name, given);
    return given;
  });
}

const mostFair = 120;
const order: readonly Fair[] = ['message', 'rise', 'rest', 'look'];

/** What etcd still has as somebody's after a while in which nothing goes wrong and every container ends. */
export function afterFairWeather(from: World, setting: Setting): string[] {
  let world = from;
  const isLeft = () =>
    Object.entries(world.etcd.entries).flatMap(([slot, { node }]) => (node === '' ? [] : slot));
  for (let i = 0; i < mostFair; i++) {
    const quiet =
      world.net.length === 0 && world.fence === null && world.machines.every(({ used }) => used === '');
    if (quiet && isLeft().length === 0) return [];
    const left = { ...world.left, look: 1, again: 0 };
    const here = { ...world, left };
    const text = canonical(here);
    const all = steps(here, setting);
    // Some steps change nothing yet.
    const moves = (kind: Fair) =>
      all.filter(({ fair, world }) => fair === kind && (kind === 'look' || canonical(world) !== text));
    // The turn changes among those of the first kind that has any, so that no node waits for ever.
    let same: Step[] = [];
    for (const kind of order) {
      same = moves(kind);
      if (same.length > 0) break;
    }
    const taken = same[i % Math.max(1, same.length)];
    if (!taken) break;
    world = taken.world;
  }
  return isLeft();
}
