/** Manual pages: every option of the table, in troff that cannot be broken by a text. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { renderMan, troff } from "../../../../common/config/option-man.ts";
import { booleanOption, textOption } from "../../../../common/config/option-spec.ts";
import type { OptionTable } from "../../../../common/config/option-table.ts";

const TABLE: OptionTable<{ prefix: string; masq: boolean }> = {
  program: "twill-sample",
  summary: "Shows a page: with two options.",
  options: {
    prefix: textOption({
      flag: "etcd-prefix",
      help: ".dot first, a back\\slash.",
      group: "Store",
      placeholder: "PREFIX",
      fallback: "/x",
    }),
    masq: booleanOption({ flag: "ip-masq", help: "Masquerade.", group: "Net", fallback: false }),
  },
  ignored: [],
};
const PAGE = {
  usage: "[options]",
  version: "1.2.3",
  files: [["/etc/x", "a file"]],
  seeAlso: [],
} as const;

describe("a manual page", () => {
  const text = renderMan(TABLE, PAGE);

  it("has name, every option with its variable and default, and the files", () => {
    assert.match(text, /^twill-sample \\- shows a page$/m);
    assert.match(text, /^\.B \\-\\-etcd\\-prefix PREFIX$/m);
    assert.match(text, /default: \/x\) \[TWILL_ETCD_PREFIX\]$/m);
    assert.match(text, /^\.B \\-\\-ip\\-masq$/m);
    assert.match(text, /^\.I \/etc\/x$/m);
  });

  it("lets no text begin a request or an escape", () => {
    assert.match(text, /^\\&\.dot first, a back\\eslash\./m);
    assert.equal(troff("a\n'b"), "a\n\\&'b");
  });
});
