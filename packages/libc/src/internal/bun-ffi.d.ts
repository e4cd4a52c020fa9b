/** The part of Bun's FFI that we use; Bun's own type package would bring its whole world of globals along. */
declare module 'bun:ffi' {
  export type Pointer = number & { readonly __pointer: unique symbol };
  export function dlopen(
    library: string,
    definitions: Record<string, { args: readonly string[]; returns: string }>,
  ): { symbols: Record<string, (...args: never[]) => unknown> };
  export const read: { i32(pointer: Pointer, offset: number): number };
}
