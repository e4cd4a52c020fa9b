/** The one error of every reader of this package: what came is no packet of the kind it was read as. */
export class MalformedPacket extends Error {
  /** A sentence that says what is wrong with the packet. */
  constructor(message: string) {
    super(message);
    this.name = 'MalformedPacket';
  }
}
