/** Who this process is, for Hello: not to be guessed, since it lets its holder take over a stream. */
const BYTES = 16;

export function newProcessId(randomBytes: (length: number) => Uint8Array): string {
  return Buffer.from(randomBytes(BYTES)).toString("hex");
}
