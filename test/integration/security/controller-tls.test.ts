/** Mutual TLS at the controller's door: who may come in, for whom they may speak, and who may not. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openChannel } from "../../../agent/rpc/channel.ts";
import { fromCallError } from "../../../common/rpc/call-error.ts";
import { AllocatorClient } from "../../../proto/gen/twill/v1/fabric.ts";
import { OperatorClient } from "../../../proto/gen/twill/v1/operator.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { ControllerProcess } from "../../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import { credentialsOf, TestPki, type TlsFileNames } from "../../support/test-pki.ts";

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("../../../controller/main.js", import.meta.url));
const PATIENCE = { deadlineMs: 30_000 };

/** Says Hello as `node`; resolves to "welcome", or to the code that the stream ended with. */
async function greet(
  address: string,
  node: string,
  tls: TlsFileNames | undefined,
): Promise<string> {
  const client = await openChannel(address, tls);
  const call = client.sync();
  try {
    return await new Promise<string>((resolve) => {
      call.on("data", (message: { body?: { $case: string } }) =>
        resolve(message.body?.$case ?? ""),
      );
      call.on("error", (error: unknown) => resolve(fromCallError(error, address).code));
      const held = { instance: "", revision: 0, digest: "" };
      const value = { node, version: "test", process: "", features: [], ...held };
      call.write({ body: { $case: "hello", value } });
    });
  } finally {
    call.cancel();
    client.close();
  }
}

/** Asks for node b's release as another replica would; how that ended. */
async function releaseAs(address: string, tls: TlsFileNames): Promise<string> {
  const client = new AllocatorClient(address, await credentialsOf(tls));
  return new Promise((resolve) => {
    client.release({ node: "b" }, (error, reply) => {
      client.close();
      if (error === null) resolve(reply.outcome?.$case ?? "");
      else resolve(fromCallError(error, address).code);
    });
  });
}

async function statusAs(address: string, tls: TlsFileNames): Promise<string> {
  const client = new OperatorClient(address, await credentialsOf(tls));
  return new Promise((resolve) => {
    client.getStatus({}, (error, status) => {
      client.close();
      resolve(error === null ? status.controller : fromCallError(error, address).code);
    });
  });
}

describe("a controller behind mutual TLS", () => {
  let etcd: EtcdCluster;
  let pki: TestPki;
  let stranger: TestPki;
  let controller: ControllerProcess;

  before(async () => {
    etcd = await startEtcd();
    pki = await TestPki.create();
    stranger = await TestPki.create();
    const tls = await pki.files("controller", "ctl-1");
    controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints, tls });
    await until("it serves", PATIENCE, async () =>
      (await controller.httpStatus("/readyz")) === 200 ? true : undefined,
    );
  });

  after(async () => {
    await controller.kill();
    await etcd.close();
    await pki[Symbol.asyncDispose]();
    await stranger[Symbol.asyncDispose]();
  });

  it("welcomes a node that speaks for itself", async () => {
    assert.equal(await greet(controller.address, "a", await pki.files("node", "a")), "welcome");
  });

  it("refuses a node that speaks for another, and an operator that speaks for a node", async () => {
    const other = await greet(controller.address, "b", await pki.files("node", "a"));
    assert.equal(other, "IDENTITY_REFUSED");
    const operator = await greet(controller.address, "a", await pki.files("operator", "a"));
    assert.equal(operator, "IDENTITY_REFUSED");
  });

  it("lets only controllers lease for others, and no node read what operators do", async () => {
    const [node, operator, replica] = await Promise.all([
      pki.files("node", "a"),
      pki.files("operator", "o"),
      pki.files("controller", "ctl-2"),
    ]);
    const { address } = controller;
    assert.equal(await releaseAs(address, node), "IDENTITY_REFUSED");
    assert.equal(await releaseAs(address, operator), "IDENTITY_REFUSED");
    assert.equal(await releaseAs(address, replica), "refused");
    assert.equal(await statusAs(address, node), "IDENTITY_REFUSED");
    assert.equal(await statusAs(address, operator), address);
  });

  it("lets in nobody without a certificate, with one of another CA, or in plaintext", async () => {
    const nobody = { caFile: pki.caFile, certFile: "", keyFile: "" };
    assert.equal(await greet(controller.address, "a", nobody), "CONTROLLER_UNAVAILABLE");
    const foreign = { ...(await stranger.files("node", "a")), caFile: pki.caFile };
    assert.equal(await greet(controller.address, "a", foreign), "CONTROLLER_UNAVAILABLE");
    assert.equal(await greet(controller.address, "a", undefined), "CONTROLLER_UNAVAILABLE");
    assert.equal(await greet(controller.address, "a", await pki.files("node", "a")), "welcome");
  });
});

describe("a controller that is told neither TLS nor --insecure", () => {
  it("does not start, and says what to give it", async () => {
    const started = run(process.execPath, [PROGRAM, "--listen", "127.0.0.1:0"]);
    await assert.rejects(started, (error: { code?: unknown; stderr?: unknown }) => {
      assert.equal(error.code, 2);
      assert.match(
        String(error.stderr),
        /--tls-ca-file, --tls-cert-file and --tls-key-file.*--insecure/,
      );
      return true;
    });
  });
});
