/** Where in the node's folder a network and its plugins stand. */
import { readBytes, textOf } from '@cni-ts/libc/file';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { configPaths } from '../config-lists.ts';
import { type ConfigDocument, readDocuments } from '../validate/document.ts';
import { note } from '../validate/finding.ts';
import { Source } from '../validate/source.ts';

export interface ConfigFile {
  /** Its name in the folder. */
  readonly file: string;
  readonly path: string;
  /** The network it is of. */
  readonly network: string;
  /** The types of its plugins, and the line that each stands in. */
  readonly plugins: readonly { readonly type: string; readonly line: number }[];
  /** The same of the plugins that these ask for addresses. */
  readonly ipam: readonly { readonly type: string; readonly line: number }[];
  readonly document: ConfigDocument;
}

/** The files of a folder that can be read, in the order in which a runtime looks at them. */
export function configFilesIn(folder: string): ConfigFile[] {
  let paths: string[];
  try {
    paths = configPaths(folder);
  } catch {
    return []; // no folder: nothing can be said of where a network stands, which is what the caller says
  }
  return paths.flatMap((path) => {
    const file = path.slice(path.lastIndexOf('/') + 1);
    try {
      return readDocuments(new Source(file, textOf(readBytes(path)))).documents.map((document) =>
        describe(file, path, document),
      );
    } catch {
      return []; // `cnitool list` says what is wrong with it
    }
  });
}

function describe(file: string, path: string, document: ConfigDocument): ConfigFile {
  const { json } = document;
  const listed = memberOf(json, 'plugins');
  const parts: { one: unknown; at: readonly (string | number)[] }[] = Array.isArray(listed)
    ? listed.map((one, index) => ({ one, at: ['plugins', index] }))
    : [{ one: json, at: [] }];
  const typeAt = (one: unknown, at: readonly (string | number)[]) => ({
    type: textMember(one, 'type'),
    line: document.place(note('CNI1013', [...at, 'type'], '')).line,
  });
  return {
    file,
    path,
    network: textMember(json, 'name'),
    plugins: parts.map(({ one, at }) => typeAt(one, at)),
    ipam: parts.flatMap(({ one, at }) => {
      const ipam = objectMember(one, 'ipam');
      return ipam && textMember(ipam, 'type') !== '' ? [typeAt(ipam, [...at, 'ipam'])] : [];
    }),
    document,
  };
}

/** `10-web.conflist:18`; undefined where no file has that plugin of that network. */
export function placeOf(files: readonly ConfigFile[], network: string, type: string): string | undefined {
  const found = files.find((one) => one.network === network);
  const plugin = [...(found?.plugins ?? []), ...(found?.ipam ?? [])].find((one) => one.type === type);
  return found && plugin && `${found.file}:${plugin.line}`;
}
