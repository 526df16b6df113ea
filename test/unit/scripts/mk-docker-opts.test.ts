/** mk-docker-opts.sh: flannel's outputs for flannel's inputs (contract 2.6), plus IPv6. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../../../scripts/mk-docker-opts.sh", import.meta.url));
const SUBNET_ENV = `FLANNEL_NETWORK=10.1.0.0/16
FLANNEL_SUBNET=10.1.74.1/24
FLANNEL_MTU=1472
FLANNEL_IPMASQ=false
`;
const INDIVIDUAL = `DOCKER_OPT_BIP="--bip=10.1.74.1/24"
DOCKER_OPT_IPMASQ="--ip-masq=true"
DOCKER_OPT_MTU="--mtu=1472"
`;
const COMBINED = `" --bip=10.1.74.1/24 --ip-masq=true --mtu=1472"\n`;

interface Run {
  readonly status: number | null;
  readonly stderr: string;
  readonly output: string;
}

function run(t: TestContext, text: string, flags: string[] = [], env: NodeJS.ProcessEnv = {}): Run {
  const folder = mkdtempSync(join(tmpdir(), "twill-docker-opts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [from, to] = [join(folder, "subnet.env"), join(folder, "docker.env")];
  writeFileSync(from, text);
  writeFileSync(to, "");
  const { status, stderr } = spawnSync(SCRIPT, ["-f", from, "-d", to, ...flags], {
    env: { PATH: process.env["PATH"], ...env },
    encoding: "utf8",
  });
  return { status, stderr, output: readFileSync(to, "utf8") };
}

describe("mk-docker-opts.sh", () => {
  it("writes individual and combined options by default", (t) => {
    assert.equal(run(t, SUBNET_ENV).output, `${INDIVIDUAL}DOCKER_OPTS=${COMBINED}`);
  });

  it("writes only individual options with -i", (t) => {
    assert.equal(run(t, SUBNET_ENV, ["-i"]).output, INDIVIDUAL);
  });

  it("writes only the combined option with -c", (t) => {
    assert.equal(run(t, SUBNET_ENV, ["-c"]).output, `DOCKER_OPTS=${COMBINED}`);
  });

  it("names the combined option with -k and keeps its previous value in front", (t) => {
    assert.equal(run(t, SUBNET_ENV, ["-c", "-k", "MY_KEY"]).output, `MY_KEY=${COMBINED}`);
    const { output } = run(t, SUBNET_ENV, ["-c"], { DOCKER_OPTS: "--debug" });
    assert.equal(output, `DOCKER_OPTS="--debug --bip=10.1.74.1/24 --ip-masq=true --mtu=1472"\n`);
  });

  it("leaves out masquerading with -m", (t) => {
    const { output } = run(t, SUBNET_ENV, ["-c", "-m"]);
    assert.equal(output, `DOCKER_OPTS=" --bip=10.1.74.1/24 --mtu=1472"\n`);
  });

  it("turns docker's masquerading off when flannel's is on", (t) => {
    const { output } = run(t, SUBNET_ENV.replace("IPMASQ=false", "IPMASQ=true"), ["-c"]);
    assert.match(output, /--ip-masq=false/);
  });

  it("refuses another value of FLANNEL_IPMASQ and names the file", (t) => {
    const { status, stderr } = run(t, SUBNET_ENV.replace("IPMASQ=false", "IPMASQ=maybe"));
    assert.equal(status, 1);
    assert.match(stderr, /FLANNEL_IPMASQ=maybe in .*subnet\.env/);
  });

  it("adds IPv6 when the node has an IPv6 subnet", (t) => {
    const { output } = run(t, `${SUBNET_ENV}FLANNEL_IPV6_SUBNET=fd50:0:0:44::1/64\n`, ["-i"]);
    assert.match(output, /^DOCKER_OPT_FIXED_CIDR_V6="--fixed-cidr-v6=fd50:0:0:44::1\/64"$/m);
    assert.match(output, /^DOCKER_OPT_IPV6="--ipv6"$/m);
  });

  it("writes empty options when there is no subnet.env yet", (t) => {
    const { status, output } = run(t, SUBNET_ENV, ["-f", "/nonexistent"]);
    assert.deepEqual({ status, output }, { status: 0, output: 'DOCKER_OPTS=""\n' });
  });

  it("prints usage and fails for -h and unknown flags", (t) => {
    for (const flag of ["-h", "-x"]) {
      const { status, stderr } = run(t, SUBNET_ENV, [flag]);
      assert.equal(status, 1);
      assert.match(stderr, /usage/);
    }
  });
});
