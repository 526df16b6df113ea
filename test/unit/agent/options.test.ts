/** twill-agent's command line: flanneld's habits, our additions, every mistake named. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { type AgentCommand, type AgentOptions, parseAgentCommand } from "../../../agent/options.ts";
import type { Environment } from "../../../common/config/option-table.ts";
import { formatIp } from "../../../common/net/ip.ts";
import { assertGolden } from "../../support/golden.ts";

const ENOUGH = ["--controllers=c1:7460", "--insecure"];

function parse(argv: readonly string[], env: Environment = {}): AgentCommand {
  return parseAgentCommand(argv, env, "host-1");
}

function options(argv: readonly string[], env: Environment = {}): AgentOptions {
  const command = parse(argv, env);
  assert.ok(command.kind === "run" || command.kind === "cleanup", inspect(command));
  return command.options;
}

function problems(argv: readonly string[], env: Environment = {}): string {
  const command = parse(argv, env);
  return command.kind === "invalid" ? command.problems.join("\n") : `no problem: ${command.kind}`;
}

describe("twill-agent --help", () => {
  it("shows every option with its default", () => {
    const command = parse(["--help"]);
    assert.ok(command.kind === "help");
    assertGolden("help/twill-agent.txt", command.text);
  });

  it("is also the command help, and wins over mistakes before it is reached", () => {
    assert.equal(parse(["help"]).kind, "help");
    assert.equal(parse(["run", "-h"]).kind, "help");
    assert.equal(parse(["version"]).kind, "version");
    assert.equal(parse(["--version"]).kind, "version");
  });
});

describe("the WireGuard key file", () => {
  it("is flannel's, or named by our option, our variables or flannel's own", () => {
    const fileOf = (argv: readonly string[], env: Environment = {}): string =>
      options([...ENOUGH, ...argv], env).wireguardKeyFile;
    assert.equal(fileOf([]), "/run/flannel/wgkey");
    assert.equal(fileOf([], { WIREGUARD_KEY_FILE: "/a" }), "/a");
    assert.equal(fileOf([], { WIREGUARD_KEY_FILE: "/a", TWILL_WIREGUARD_KEY_FILE: "/b" }), "/b");
    assert.equal(fileOf(["--wireguard-key-file=/c"], { TWILL_WIREGUARD_KEY_FILE: "/b" }), "/c");
  });
});

describe("the defaults", () => {
  it("are flanneld's where flanneld has the option", () => {
    const { rules, subnetFile, healthz, node, tls, wish } = options(ENOUGH);
    assert.deepEqual(rules, {
      ipMasq: false,
      fullyRandom: true,
      forwardRules: true,
      resyncMs: 5000,
      blackholeRoute: false,
      txChecksumOff: false,
    });
    assert.equal(subnetFile, "/run/flannel/subnet.env");
    assert.equal(healthz, undefined);
    assert.equal(node, "host-1");
    assert.equal(tls, undefined);
    assert.deepEqual(wish.ifaces, []);
  });
});

describe("flanneld's command lines", () => {
  it("work unchanged, with one or two dashes, by option or by environment", () => {
    const typed = options([...ENOUGH, "-iface", "eth1", "--iface=10.0.0.1", "-ip-masq"]);
    assert.deepEqual(typed.wish.ifaces, ["eth1", "10.0.0.1"]);
    assert.equal(typed.rules.ipMasq, true);
    const env = {
      FLANNELD_IFACE: "eth2",
      TWILL_PUBLIC_IP: "1.2.3.4",
      FLANNELD_PUBLIC_IP: "5.6.7.8",
    };
    const { wish } = options(ENOUGH, env);
    assert.deepEqual(wish.ifaces, ["eth2"]);
    assert.equal(wish.publicIp && formatIp(wish.publicIp), "1.2.3.4");
  });

  it("that hold etcd, Kubernetes or klog options are warned about what has no effect", () => {
    const command = parse(
      [...ENOUGH, "--etcd-endpoints=http://e:2379", "--kube-subnet-mgr=false", "-v", "10"],
      { FLANNELD_SUBNET_LEASE_RENEW_MARGIN: "60" },
    );
    assert.ok(command.kind === "run");
    assert.equal(command.options.logLevel, "debug");
    assert.equal(command.warnings.length, 2);
    assert.match(command.warnings.join("\n"), /--etcd-endpoints is ignored: .*twill-controller/);
    assert.match(command.warnings.join("\n"), /FLANNELD_SUBNET_LEASE_RENEW_MARGIN is ignored/);
  });

  it("that ask for leases in Kubernetes are refused with the way out", () => {
    for (const flag of ["--kube-subnet-mgr", "--kube-subnet-mgr=1"]) {
      assert.match(problems([...ENOUGH, flag]), /Kubernetes API run flannel/);
    }
  });
});

describe("mistakes", () => {
  it("are all reported, each with its option", () => {
    const text = problems([
      "--ifaec=eth0",
      "--iface-regex=(",
      "--public-ip=fd00::1",
      "--healthz-port=x",
    ]);
    assert.match(text, /unknown option --ifaec; did you mean --iface\?/);
    assert.match(text, /--iface-regex must be a regular expression/);
    assert.match(text, /--public-ip must be an IPv4 address/);
    assert.match(text, /--healthz-port must be a whole number/);
  });

  it("in controllers, node name and commands are named", () => {
    assert.match(problems(["--insecure"]), /--controllers is needed/);
    assert.match(problems(["--insecure", "--controllers=c1"]), /must be host:port/);
    assert.match(problems([...ENOUGH, "--node-name=a/b"]), /node name "a\/b" must be/);
    assert.match(problems(["claenup"]), /unknown command "claenup"; did you mean cleanup\?/);
    assert.match(problems([...ENOUGH, "--purge"]), /--purge belongs to the command cleanup/);
  });

  it("in TLS are contradictions, not silent plaintext", () => {
    const base = "--controllers=c1:1";
    assert.match(problems([base]), /--tls-ca-file .*or --insecure/);
    assert.match(problems([base, "--insecure", "--tls-ca-file=a"]), /contradict/);
    assert.match(problems([base, "--tls-ca-file=a", "--tls-cert-file=b"]), /come together/);
    const { tls } = options([base, "--tls-ca-file=a"]);
    assert.deepEqual(tls, { caFile: "a", certFile: "", keyFile: "" });
  });
});

describe("--cni-conf-dir", () => {
  it("is nothing unless it is given", () => {
    assert.equal(options(ENOUGH).cniConfDir, undefined);
    assert.equal(
      options([...ENOUGH, "--cni-conf-dir=/etc/cni/net.d"]).cniConfDir,
      "/etc/cni/net.d",
    );
  });
});

describe("cleanup", () => {
  it("needs neither controllers nor TLS", () => {
    assert.equal(parse(["cleanup"]).kind, "cleanup");
    assert.equal(options(["cleanup", "--purge", "--state-dir=/x"]).purge, true);
  });
});
