/** The help and the docs table say all that the option table says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { renderHelp, renderMarkdown } from "../../../../common/config/option-help.ts";
import {
  booleanOption,
  repeatableOption,
  textOption,
  value,
} from "../../../../common/config/option-spec.ts";
import type { OptionTable } from "../../../../common/config/option-table.ts";
import { assertGolden } from "../../../support/golden.ts";

interface Options {
  readonly prefix: string;
  readonly ifaceRegex: readonly string[];
  readonly ipMasq: boolean;
  readonly password: string;
}

const table: OptionTable<Options> = {
  program: "twill-sample",
  summary:
    "Shows every kind of line that the help can have, with a summary that is long enough to be wrapped at the edge of the page.",
  options: {
    prefix: textOption({
      flag: "etcd-prefix",
      help: "Prefix of all keys; with a text that is so long that it must be broken into two lines somewhere.",
      group: "Store",
      placeholder: "PATH",
      fallback: "/coreos.com/network",
    }),
    ifaceRegex: repeatableOption({
      flag: "iface-regex",
      help: "First interface whose address or name matches, for example ^(eth|ens).",
      group: "Network",
      placeholder: "REGEX",
      parseItem: value,
    }),
    ipMasq: booleanOption({
      flag: "ip-masq",
      help: "Masquerade what leaves the network.",
      group: "Network",
      fallback: false,
    }),
    password: textOption({
      flag: "etcd-password",
      help: "Password.",
      group: "Store",
      placeholder: "TEXT|NONE",
      fallback: "hunter2",
      isSecret: true,
    }),
  },
  ignored: [{ flag: "kube-subnet-mgr", isBoolean: true, why: "there is no Kubernetes mode" }],
};

describe("the help", () => {
  it("groups options and wraps their meaning", () => {
    assertGolden("common/help.txt", renderHelp(table, "[run] [options]"));
  });

  it("shows no secret", () => {
    assert.doesNotMatch(renderHelp(table) + renderMarkdown(table), /hunter2/);
  });
});

describe("the docs table", () => {
  it("has a row per option and one per ignored option", () => {
    assertGolden("common/options.md", renderMarkdown(table));
  });
});
