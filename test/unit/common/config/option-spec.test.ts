/** Each kind of option: what it takes, and what it says to the rest. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  booleanOption,
  choiceOption,
  durationOption,
  integerOption,
  ipOption,
  listOption,
  type OptionSpec,
  parseDurationMs,
  type Reading,
  repeatableOption,
  textOption,
  value,
  wrong,
} from "../../../../common/config/option-spec.ts";
import { formatIp } from "../../../../common/net/ip.ts";

const declared = { flag: "x", help: "An x.", group: "G" };
const item = (text: string): Reading<string> =>
  text.includes("!") ? wrong("must hold no !", text) : value(text);

/** The value, or the problem's text. */
function read<T>(spec: OptionSpec<T>, ...texts: string[]): T | string {
  const reading = spec.read(texts);
  return reading.kind === "value" ? reading.value : reading.problem;
}

describe("an option", () => {
  it("of text takes everything, the last text counting", () => {
    const spec = textOption({ ...declared, placeholder: "T", fallback: "f" });
    assert.equal(read(spec, "a", "b c"), "b c");
    assert.equal(spec.fallbackText, "f");
    assert.deepEqual([spec.isRepeatable, spec.isSecret], [false, false]);
  });

  it("that is secret shows no default", () => {
    const spec = textOption({ ...declared, placeholder: "T", fallback: "pw", isSecret: true });
    assert.equal(spec.fallbackText, "");
    assert.equal(spec.isSecret, true);
  });

  it("of yes and no takes Go's spellings only", () => {
    const spec = booleanOption({ ...declared, fallback: false });
    assert.deepEqual([spec.isRepeatable, spec.isSecret], [false, false]);
    for (const text of ["1", "t", "T", "TRUE", "true", "True"])
      assert.equal(read(spec, text), true);
    for (const text of ["0", "f", "F", "FALSE", "false", "False"]) {
      assert.equal(read(spec, text), false);
    }
    assert.equal(read(spec, "yes"), 'must be true or false, not "yes"');
  });

  it("of a number keeps to its bounds", () => {
    const spec = integerOption({ ...declared, placeholder: "N", fallback: 5, min: -1, max: 9 });
    assert.equal(read(spec, "-1"), -1);
    assert.equal(read(spec, "9"), 9);
    assert.equal(read(spec, "0"), 0);
    for (const text of ["10", "-2", "1.5", "0x5", "1e1", " 1", "", "9".repeat(400)]) {
      assert.match(String(read(spec, text)), /^must be a whole number from -1 to 9, not "/);
    }
  });

  it("of a few words takes only those", () => {
    const spec = choiceOption({
      ...declared,
      placeholder: "F",
      choices: ["json", "text"],
      fallback: "json",
    });
    const format: "json" | "text" = spec.fallback;
    assert.equal(format, "json");
    assert.equal(read(spec, "text"), "text");
    assert.equal(read(spec, "xml"), 'must be one of json, text, not "xml"');
  });

  it("of a time wants a unit and keeps to its bounds", () => {
    const spec = durationOption({ ...declared, fallback: "1h", minMs: 1000, maxMs: 86_400_000 });
    assert.equal(spec.fallback, 3_600_000);
    assert.equal(read(spec, "1m30s"), 90_000);
    assert.equal(read(spec, "1s"), 1000);
    assert.equal(read(spec, "24h"), 86_400_000);
    assert.equal(read(spec, "24h1ms"), 'must lie between 1s and 24h, not "24h1ms"');
    assert.equal(read(spec, "90"), 'must be a time with its unit such as "90s", not "90"');
    assert.equal(read(spec, "999ms"), 'must lie between 1s and 24h, not "999ms"');
  });

  it("of an address takes only its family", () => {
    const spec = ipOption({ ...declared, family: 6 });
    const reading = spec.read(["FD00::1"]);
    assert.ok(reading.kind === "value" && reading.value !== undefined);
    assert.equal(formatIp(reading.value), "fd00::1");
    assert.equal(read(spec, "10.0.0.1"), 'must be an IPv6 address, not "10.0.0.1"');
  });

  it("of a list splits at commas and names the item that is wrong", () => {
    const spec = listOption({
      ...declared,
      placeholder: "A,B",
      fallback: ["f"],
      fallbackText: "f",
      parseItem: item,
    });
    assert.deepEqual(read(spec, "a, b,c"), ["a", "b", "c"]);
    assert.equal(read(spec, "a,b!"), 'must hold no !, not "b!"');
  });

  it("that repeats keeps every text whole", () => {
    const spec = repeatableOption({ ...declared, placeholder: "R", parseItem: item });
    assert.deepEqual(read(spec, "a,b", "c{1,2}"), ["a,b", "c{1,2}"]);
    assert.deepEqual(spec.fallback, []);
    assert.deepEqual([spec.isRepeatable, spec.isSecret], [true, false]);
  });
});

describe("a duration", () => {
  it("adds up its parts", () => {
    assert.equal(parseDurationMs("24h"), 86_400_000);
    assert.equal(parseDurationMs("1h2m3s4ms"), 3_723_004);
    assert.equal(parseDurationMs("10h20m30s40ms"), 37_230_040);
    assert.equal(parseDurationMs("0s"), 0);
    assert.equal(parseDurationMs("5ms"), 5);
    assert.equal(parseDurationMs("5m"), 300_000);
  });

  it("is nothing else", () => {
    for (const text of ["", "5", "h", "1d", "-1s", "1s1h", "1.5s", "1 s", "1h1h"]) {
      assert.equal(parseDurationMs(text), undefined, text);
    }
  });
});
