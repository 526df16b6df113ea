/** Command line and environment to options: Go's syntax, its traps named, its habits kept. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  booleanOption,
  integerOption,
  listOption,
  repeatableOption,
  textOption,
  value,
} from "../../../../common/config/option-spec.ts";
import {
  type Environment,
  environmentNames,
  type OptionTable,
  type ParsedOptions,
  parseOptions,
} from "../../../../common/config/option-table.ts";

interface Options {
  readonly iface: readonly string[];
  readonly ipMasq: boolean;
  readonly forward: boolean;
  readonly prefix: string;
  readonly endpoints: readonly string[];
  readonly password: string;
  readonly port: number;
}

const group = "G";
const table: OptionTable<Options> = {
  program: "test",
  summary: "A test.",
  options: {
    iface: repeatableOption({
      flag: "iface",
      help: "I.",
      group,
      placeholder: "NAME",
      parseItem: value,
    }),
    ipMasq: booleanOption({ flag: "ip-masq", help: "M.", group, fallback: false }),
    forward: booleanOption({ flag: "iptables-forward-rules", help: "F.", group, fallback: true }),
    prefix: textOption({
      flag: "etcd-prefix",
      help: "P.",
      group,
      placeholder: "PATH",
      fallback: "/coreos.com/network",
    }),
    endpoints: listOption({
      flag: "etcd-endpoints",
      help: "E.",
      group,
      placeholder: "URL,…",
      fallback: ["http://127.0.0.1:2379"],
      fallbackText: "http://127.0.0.1:2379",
      parseItem: value,
    }),
    password: textOption({
      flag: "etcd-password",
      help: "S.",
      group,
      placeholder: "TEXT",
      fallback: "",
      isSecret: true,
    }),
    port: integerOption({
      flag: "healthz-port",
      help: "H.",
      group,
      placeholder: "PORT",
      fallback: 0,
      min: 0,
      max: 65_535,
    }),
  },
  ignored: [
    { flag: "kube-subnet-mgr", isBoolean: true, why: "there is no Kubernetes mode" },
    { flag: "v", isBoolean: false, why: "use --log-level" },
    { flag: "log_backtrace_at", isBoolean: false, why: "use --log-level" },
  ],
};

function parse(argv: readonly string[], env: Environment = {}): ParsedOptions<Options> {
  return parseOptions(argv, env, table);
}

function options(argv: readonly string[], env: Environment = {}): Options {
  const parsed = parse(argv, env);
  assert.equal(parsed.kind, "options", JSON.stringify(parsed));
  return parsed.values;
}

function problems(argv: readonly string[], env: Environment = {}): readonly string[] {
  const parsed = parse(argv, env);
  assert.equal(parsed.kind, "invalid");
  return parsed.problems;
}

function warnings(argv: readonly string[], env: Environment = {}): readonly string[] {
  const parsed = parse(argv, env);
  assert.equal(parsed.kind, "options", JSON.stringify(parsed));
  return parsed.warnings;
}

describe("the command line", () => {
  it("gives every default when it is empty", () => {
    assert.deepEqual(options([]), {
      iface: [],
      ipMasq: false,
      forward: true,
      prefix: "/coreos.com/network",
      endpoints: ["http://127.0.0.1:2379"],
      password: "",
      port: 0,
    });
  });

  it("takes one dash or two, = or a blank", () => {
    for (const argv of [["-etcd-prefix=/p"], ["--etcd-prefix=/p"], ["-etcd-prefix", "/p"]]) {
      assert.equal(options(argv).prefix, "/p");
    }
    assert.equal(options(["--etcd-prefix", "/a=b"]).prefix, "/a=b");
    assert.equal(options(["--etcd-prefix=/a=b"]).prefix, "/a=b");
  });

  it("takes booleans without value or with =", () => {
    assert.equal(options(["-ip-masq"]).ipMasq, true);
    assert.equal(options(["--ip-masq=false"]).ipMasq, false);
    assert.equal(options(["-iptables-forward-rules=0"]).forward, false);
    assert.equal(options(["--ip-masq", "--etcd-prefix", "/p"]).prefix, "/p");
  });

  it("keeps all texts of a repeatable option and the last of any other", () => {
    const { iface, prefix } = options([
      ...["--iface", "eth0", "--iface=eth1"],
      ...["--etcd-prefix=/a", "--etcd-prefix=/b"],
    ]);
    assert.deepEqual(iface, ["eth0", "eth1"]);
    assert.equal(prefix, "/b");
  });

  it("lets a value begin with a dash unless it is an option's name", () => {
    assert.deepEqual(options(["--iface", "-odd"]).iface, ["-odd"]);
    assert.deepEqual(problems(["--iface", "--ip-masq"]), ["--iface needs a value: --iface=VALUE"]);
    assert.deepEqual(problems(["--iface"]), ["--iface needs a value: --iface=VALUE"]);
  });

  it("reads an empty value as none", () => {
    assert.equal(options(["--etcd-prefix="]).prefix, "/coreos.com/network");
    assert.deepEqual(options(["--iface=", "--iface=eth1"]).iface, ["eth1"]);
  });

  it("asks for help or version wherever that stands", () => {
    for (const flag of ["-h", "--help", "-help"]) {
      assert.deepEqual(parse(["--nonsense", flag]), { kind: "help" });
    }
    assert.deepEqual(parse(["--version", "--help"]), { kind: "version" });
    assert.deepEqual(parse(["--iface", "--help"]), { kind: "help" });
  });

  it("suggests the option behind a typing error and skips its value", () => {
    assert.deepEqual(problems(["--ifcae", "eth0", "--ip-mask"]), [
      "unknown option --ifcae; did you mean --iface?",
      "unknown option --ip-mask; did you mean --ip-masq?",
    ]);
    assert.deepEqual(problems(["--nonsense"]), ["unknown option --nonsense; see --help"]);
    assert.deepEqual(problems(["--constructor"]), ["unknown option --constructor; see --help"]);
  });

  it("refuses stray arguments, with a hint after a boolean", () => {
    assert.deepEqual(problems(["--ip-masq", "true", "--etcd-prefix=/p"]), [
      'unexpected argument "true"; a boolean takes its value after "=": --ip-masq=true',
    ]);
    assert.match(problems(["--ip-masq", "False"])[0] ?? "", /after "=": --ip-masq=False$/);
    assert.deepEqual(problems(["--ip-masq", "eth0"]), ['unexpected argument "eth0"; see --help']);
    for (const stray of ["-", "--", "---x", "--=x", ""]) {
      assert.match(problems([stray])[0] ?? "", /^unexpected argument/);
    }
  });

  it("reports all problems together", () => {
    const lines = problems(["--healthz-port=x", "--ip-masq=maybe", "--nonsense"], {
      TWILL_IPTABLES_FORWARD_RULES: "si",
    });
    assert.deepEqual(lines, [
      "unknown option --nonsense; see --help",
      '--ip-masq must be true or false, not "maybe"',
      'TWILL_IPTABLES_FORWARD_RULES must be true or false, not "si"',
      '--healthz-port must be a whole number from 0 to 65535, not "x"',
    ]);
  });
});

describe("the environment", () => {
  it("names variables as flanneld does, ours first", () => {
    assert.deepEqual(environmentNames("etcd-endpoints"), [
      "TWILL_ETCD_ENDPOINTS",
      "FLANNELD_ETCD_ENDPOINTS",
    ]);
    const env = { FLANNELD_ETCD_PREFIX: "/flannel", TWILL_ETCD_PREFIX: "/twill" };
    assert.equal(options([], env).prefix, "/twill");
    assert.equal(options([], { ...env, TWILL_ETCD_PREFIX: "" }).prefix, "/flannel");
    assert.equal(options(["--etcd-prefix=/line"], env).prefix, "/line");
  });

  it("gives booleans, lists and single items", () => {
    const read = options([], {
      FLANNELD_IP_MASQ: "true",
      FLANNELD_ETCD_ENDPOINTS: "http://a:1,http://b:2",
      FLANNELD_IFACE: "eth0",
    });
    assert.equal(read.ipMasq, true);
    assert.deepEqual(read.endpoints, ["http://a:1", "http://b:2"]);
    assert.deepEqual(read.iface, ["eth0"]);
  });

  it("is ignored where it concerns nobody", () => {
    assert.deepEqual(
      warnings([], { FLANNELD_NONSENSE: "1", TWILL_X: "y", FLANNELD_HELP: "1" }),
      [],
    );
  });

  it("makes a bad value an error that names the variable", () => {
    assert.deepEqual(problems([], { FLANNELD_HEALTHZ_PORT: "70000" }), [
      'FLANNELD_HEALTHZ_PORT must be a whole number from 0 to 65535, not "70000"',
    ]);
  });
});

describe("flanneld's other options", () => {
  it("are accepted with a warning that says why they have no effect", () => {
    assert.deepEqual(
      warnings(["--kube-subnet-mgr=false", "-v", "10"], { FLANNELD_LOG_BACKTRACE_AT: "x:1" }),
      [
        "--kube-subnet-mgr is ignored: there is no Kubernetes mode",
        "--v is ignored: use --log-level",
        "FLANNELD_LOG_BACKTRACE_AT is ignored: use --log-level",
      ],
    );
  });
});

describe("what was given", () => {
  it("is listed with its source and without secrets", () => {
    const parsed = parse(["--iface=a", "--iface=b"], { TWILL_ETCD_PASSWORD: "hunter2" });
    assert.equal(parsed.kind, "options");
    assert.equal(parsed.values.password, "hunter2");
    assert.deepEqual(parsed.warnings, []);
    assert.deepEqual(parsed.given, [
      { flag: "iface", source: "--iface", text: "a b" },
      { flag: "etcd-password", source: "TWILL_ETCD_PASSWORD", text: "(secret)" },
    ]);
  });

  it("is the text that counted when an option was given twice", () => {
    const parsed = parse(["--etcd-prefix=/a", "--etcd-prefix=/b"]);
    assert.equal(parsed.kind, "options");
    assert.deepEqual(parsed.given, [{ flag: "etcd-prefix", source: "--etcd-prefix", text: "/b" }]);
  });

  it("warns of a secret that the process list shows", () => {
    const [line = ""] = warnings(["--etcd-password=hunter2"]);
    assert.match(line, /process list; give it as TWILL_ETCD_PASSWORD/);
    assert.doesNotMatch(line, /hunter2/);
  });
});

describe("parseOptions", () => {
  it("answers any arguments with a value", () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom("--iface", "-ip-masq", "--etcd-prefix=", "-healthz-port", "7", "--"),
    );
    fc.assert(
      fc.property(fc.array(word), (argv) => {
        const parsed = parse(argv);
        if (parsed.kind === "invalid") assert.ok(parsed.problems.length > 0);
      }),
    );
  });

  it("reads back every option that was written in any of the four forms", () => {
    const text = fc.string({ minLength: 1 }).filter((t) => !t.startsWith("-"));
    fc.assert(
      fc.property(text, fc.boolean(), fc.boolean(), (prefix, isDouble, isAttached) => {
        const flag = isDouble ? "--etcd-prefix" : "-etcd-prefix";
        const argv = isAttached ? [`${flag}=${prefix}`] : [flag, prefix];
        assert.equal(options(argv).prefix, prefix);
      }),
    );
  });
});
