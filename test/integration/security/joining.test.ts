/**
 * Machines become nodes with nothing but a token; and what a whole run leaves behind holds no
 * secret: neither logs nor command lines, and no file that others may read.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { JOIN_TOKEN } from "../../../scripts/testbed/certificates.ts";
import type { Lab } from "../../../scripts/testbed/lab.ts";
import type { Machine } from "../../../scripts/testbed/machine.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { startLab } from "../../support/lab.ts";

const PATIENCE = { deadlineMs: 60_000, everyMs: 200 };
/** So short that the certificates are renewed while the test looks. */
const CERTIFICATE_TTL = "30s";

test("machines join with nothing but a token, once, and leave no secret lying about", async (t) => {
  const lab = await startLab(t, {
    nodes: 2,
    controllers: 1,
    joinByToken: true,
    controllerOptions: ["--node-certificate-ttl", CERTIFICATE_TTL],
  });
  const tokens = await invite(lab, t);
  await lab.waitConverged();

  await t.test("the certificate is renewed over and over, and no stream is lost for it", () =>
    renewed(lab),
  );
  await t.test("a token that was used is refused to the next machine", () =>
    replayed(lab, tokens[0] ?? ""),
  );
  await t.test("an operator who is no administrator cannot invite", () => uninvited(lab));
  await t.test("the journal says who invited whom, and who came", async () => {
    const journal = await lab.registry.etcdctl([
      ...["get", "--prefix", "--print-value-only", "/coreos.com/network/twill/journal/"],
    ]);
    assert.match(journal, /"by":"operator\/lab","action":"node.invited","subject":"node1"/);
    assert.match(journal, /"by":"node\/node2","action":"node.enrolled","subject":"node2"/);
  });
  await t.test("no log, command line or file that others may read holds a secret", () =>
    secretsKept(lab, tokens),
  );
});

/** A token for every node, on its disk. */
async function invite(lab: Lab, t: TestContext): Promise<string[]> {
  const operator = lab.machine("controller1");
  const tokens: string[] = [];
  for (const node of lab.nodes) {
    const token = await until(`an invitation for ${node.name}`, PATIENCE, async () => {
      const made = await operator.tryExec(["twillctl", "node", "invite", node.name]);
      if (made.code !== 0) throw new Error(made.stderr);
      return made.stdout.trim();
    });
    node.writeRunFile(JOIN_TOKEN, token, 0o600);
    tokens.push(token);
  }
  t.diagnostic(`a token has ${tokens[0]?.length} characters`);
  return tokens;
}

async function renewed(lab: Lab): Promise<void> {
  for (const { name } of lab.nodes) {
    // The third is given out after the first has ended.
    await until(`${name} has its third certificate`, PATIENCE, async () =>
      (await lab.unit(name).log()).split('"event":"membership.renewed"').length > 2
        ? true
        : undefined,
    );
    const log = await lab.unit(name).log();
    assert.equal(log.split('"event":"membership.joined"').length, 2, `${name} joined once`);
    // A machine that stands still for seconds may lose it otherwise.
    const ended = /"code":"UNAUTHENTICATED".*"event":"controller.lost".*/.exec(log);
    assert.equal(ended?.[0], undefined, `no stream of ${name} ended for its certificate`);
  }
}

async function replayed(lab: Lab, token: string): Promise<void> {
  const node = await lab.addNode();
  node.writeRunFile(JOIN_TOKEN, token, 0o600);
  const refused = await until("its agent is refused", PATIENCE, async () =>
    (await lab.unit(node.name).log())
      .split("\n")
      .find((line) => line.includes("membership.failed") && line.includes("UNAUTHENTICATED")),
  );
  assert.match(refused, /used already/);
  await lab.removeNode(node.name);
}

async function uninvited(lab: Lab): Promise<void> {
  const operator = lab.machine("controller1");
  const tls = (kind: string): string => `/run/twill-pki/daemon.${kind}`;
  const asController = ["--tls-cert-file", tls("crt"), "--tls-key-file", tls("key")];
  const refused = await operator.tryExec(["twillctl", ...asController, "node", "invite", "x"]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /changes need an administrator's certificate/);
}

/** What must be nowhere: the tokens' secrets and every private key. */
async function secretsKept(lab: Lab, tokens: readonly string[]): Promise<void> {
  const secrets = tokens.map((token) => token.split(".")[2] ?? "");
  for (const unit of lab.units) {
    const log = await unit.log();
    for (const secret of secrets) assert.ok(!log.includes(secret), `${unit.name} logs a token`);
    assert.doesNotMatch(log, /PRIVATE KEY/, unit.name);
  }
  const running = await lab.machine("controller1").exec(["ps", "-ww", "-eo", "args"]);
  for (const secret of secrets) assert.ok(!running.includes(secret), "a command line has a token");
  for (const machine of lab.machines) assert.deepEqual(await readableKeys(machine), []);
}

/** Files with a private key or a token in them that somebody else than their owner may read. */
async function readableKeys(machine: Machine): Promise<string[]> {
  const found = await machine.tryExec([
    ...["grep", "-rlE", "PRIVATE KEY|^twill1\\.", "/run", "/var/lib/twill"],
  ]);
  const files = found.stdout.split("\n").filter((line) => line !== "");
  const modes = await Promise.all(
    files.map(async (file) => `${await machine.exec(["stat", "-c", "%a", file])}`.trim()),
  );
  return files.filter((_, index) => !/00$/.test(modes[index] ?? ""));
}
