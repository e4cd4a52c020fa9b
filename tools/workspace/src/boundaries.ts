import type { Package } from '@cni-ts/bundle/workspace';
import { circles } from './circles.ts';
import { type Import, importsOf, isTest, leavesPackage, packageOf } from './imports.ts';

/** Which layer may import which; read it from top to bottom, the machine's side first. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  pure: ['pure'],
  kernel: ['pure', 'kernel'],
  protocol: ['pure', 'kernel', 'protocol'],
  kit: ['pure', 'kernel', 'protocol', 'kit'],
  plugin: ['pure', 'kernel', 'protocol', 'kit'],
  runtime: ['pure', 'kernel', 'protocol'],
  app: ['pure', 'kernel', 'protocol', 'kit', 'runtime', 'plugin', 'app'],
  testing: ['pure', 'kernel', 'protocol', 'kit', 'runtime'],
  tool: ['pure', 'kernel', 'protocol', 'kit', 'plugin', 'runtime', 'app', 'testing', 'tool'],
};

/** Every import that goes where its package must not, or in a circle, as a sentence that says what to do instead. `from`
 *  tells the imports of a package; tests hand in their own. */
export function violations(
  all: readonly Package[],
  from: (one: Package) => readonly Import[] = importsOf,
): string[] {
  const byName = new Map(all.map((one) => [one.name, one]));
  const said = all.flatMap((one) => [
    ...unknownLayer(one),
    ...from(one).flatMap((found) => {
      const why = complaint(one, found, byName);
      return why ? [`${one.path}/${found.file} imports '${found.specifier}': ${why}`] : [];
    }),
  ]);
  return [...said, ...circles(all, from)];
}

function unknownLayer({ layer, path }: Package): string[] {
  if (Object.hasOwn(mayImport, layer)) return [];
  const layers = Object.keys(mayImport).join(', ');
  return [`${path}/package.json: nx.tags needs one layer:‹layer›, which is one of ${layers}`];
}

function complaint(one: Package, found: Import, byName: ReadonlyMap<string, Package>): string | undefined {
  const { file, specifier } = found;
  if (leavesPackage(found, one.folder) && one.layer !== 'tool') {
    return `a relative path must stay in its package; import the other package's file by name (@cni-ts/…)`;
  }
  if (/^node:ffi$/.test(specifier) && !(one.project === 'libc' && file.startsWith('src/internal/'))) {
    return 'only packages/libc/src/internal calls into C; add the call there and a function for it in libc';
  }
  if (loadsNodeFiles(one, found)) {
    return 'use @cni-ts/libc/file: the compiled program has no modules of Node';
  }
  const name = packageOf(specifier);
  if (name === undefined || name === one.name) return undefined;
  const { manifest } = one;
  const runtime = { ...manifest.dependencies, ...manifest.optionalDependencies };
  const target = byName.get(name);
  if (isTest(file)) return inTest(one, name, target, runtime);

  if (target?.layer === 'testing' && one.layer !== 'testing' && one.layer !== 'tool') {
    return `${name} is for *.test.ts files; what a program needs belongs into a package of another layer`;
  }
  if (target && !mayImport[one.layer]?.includes(target.layer)) {
    const allowed = mayImport[one.layer]?.join(', ');
    return `layer ${one.layer} may import ${allowed}, and ${name} is of layer ${target.layer}${advice(one, target)}`;
  }
  // The toolchain stands once, in the root's devDependencies; tools and the testing package are run with it.
  const withToolchain = one.layer === 'tool' || one.layer === 'testing';
  if (!Object.hasOwn(runtime, name) && !(withToolchain && !target)) {
    return `declare ${name} in the dependencies of ${one.path}/package.json, or nx serves stale bundles`;
  }
  return undefined;
}

/** In what a plugin is made of. What the tool may not import the build says (tools/bundle/src/link.ts). */
function loadsNodeFiles({ layer }: Package, { file, specifier }: Import): boolean {
  if (!['pure', 'kernel', 'protocol', 'kit', 'plugin'].includes(layer) || isTest(file)) return false;
  return /^node:/.test(specifier) && !/^node:ffi$/.test(specifier);
}

/** A test may use what its package declares, whatever the layer, and the toolchain of the root. */
function inTest(
  one: Package,
  name: string,
  target: Package | undefined,
  runtime: Readonly<Record<string, string>>,
): string | undefined {
  const declared = { ...runtime, ...one.manifest.devDependencies };
  if (!target || Object.hasOwn(declared, name)) return undefined;
  return `declare ${name} in the devDependencies of ${one.path}/package.json, so that nx knows of it`;
}

function advice(one: Package, target: Package): string {
  if (one.layer === 'plugin' && target.layer === 'plugin')
    return '; what two plugins need belongs into a kit (resource, rules, ipam-kit)';
  if (one.layer === 'pure' && target.layer === 'kernel')
    return '; let the caller pass in what touches the machine';
  return '';
}
