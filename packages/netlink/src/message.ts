import type { Attributes, Table, Values } from './attributes.ts';
import type { Codec } from './codec.ts';
import type { Writer } from './writer.ts';

/**
 * A kind of message: the fixed header of its family and the table of attributes that follow. As a codec it can also
 * lie inside an attribute (VETH_INFO_PEER). Header members that a caller leaves out are zero.
 */
export interface Message<H, T extends Table> extends Codec<Partial<H> & Values<T>> {
  readonly attributes: Attributes<T>;
}

export function message<H, const T extends Table>(
  header: Codec<H>,
  attributes: Attributes<T>,
): Message<H, T> {
  const headerSize = header.size ?? 0;
  return {
    attributes,
    nested: true,
    write(to: Writer, value: Partial<H> & Values<T>) {
      header.write(to, value as H); // reason: struct writes absent members as zero
      to.align();
      attributes.write(to, value);
    },
    read(payload: Uint8Array) {
      const start = (headerSize + 3) & ~3;
      // Into the attributes, not the other way round: of these some are only read when they are asked for.
      return Object.assign(
        attributes.read(payload.subarray(start)),
        header.read(payload.subarray(0, headerSize)),
      );
    },
  };
}
