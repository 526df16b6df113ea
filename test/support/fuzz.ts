/** Inputs that are nearly right, for tests of decoders: good ones with a few things changed. */
import fc from "fast-check";

/** What people, crashes and other programs put into texts. */
const PIECES = fc.oneof(
  fc.string({ maxLength: 12, unit: "binary" }),
  fc.constantFrom(
    ...["null", "-1", "1e999", "99999999999999999999", '"', "\\", "\\u0000", "{", "}", "[]", ","],
    ...["\n", "\r\n", "\t", "\u0000", "\uFEFF", "\uD800", "__proto__", "constructor", "true", "é"],
  ),
);

interface Edit {
  /** Share of the text, in thousandths. */
  readonly at: number;
  readonly drop: number;
  readonly insert: string;
}

const EDIT: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat({ max: 1000 }),
  drop: fc.nat({ max: 12 }),
  insert: fc.oneof(fc.constant(""), PIECES),
});

/** One of the texts with a few edits, or any text at all. */
export function nearlyText(good: readonly string[]): fc.Arbitrary<string> {
  const edited = fc
    .tuple(fc.constantFrom(...good), fc.array(EDIT, { minLength: 1, maxLength: 4 }))
    .map(([text, edits]) => edits.reduce(applied, text));
  return fc.oneof({ weight: 5, arbitrary: edited }, { weight: 1, arbitrary: fc.string() });
}

function applied(text: string, { at, drop, insert }: Edit): string {
  const index = Math.floor((text.length * at) / 1000);
  return text.slice(0, index) + insert + text.slice(index + drop);
}

/** One of the byte strings with a few bytes changed, cut off or repeated, or any bytes at all. */
export function nearlyBytes(good: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat({ max: 1000 }), byte: fc.nat({ max: 255 }) });
  const edited = fc
    .tuple(
      fc.constantFrom(...good),
      fc.array(change, { maxLength: 6 }),
      fc.oneof(fc.constant(1000), fc.nat({ max: 1000 })),
    )
    .map(([bytes, changes, share]) => {
      const copy = Uint8Array.from(bytes);
      for (const { at, byte } of changes) copy[Math.floor((copy.length * at) / 1000)] = byte;
      return copy.subarray(0, Math.ceil((copy.length * share) / 1000));
    });
  return fc.oneof(
    { weight: 5, arbitrary: edited },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  );
}
