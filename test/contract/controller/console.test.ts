/** The console's listener as the network sees it: who gets in by TLS, who by name, and what is sent. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { request as requestTls } from "node:https";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../../common/async/clock.ts";
import { silentLogger } from "../../../common/log.ts";
import { ReplicaCredentials } from "../../../controller/rpc/tls/replica-credentials.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { ConsoleFleet } from "../../support/console-fleet.ts";
import { TestPki, type TlsFileNames } from "../../support/test-pki.ts";

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

async function ask(url: string, options: object = {}): Promise<Reply> {
  const send = url.startsWith("https") ? requestTls : request;
  return new Promise((resolve, reject) => {
    const asked = send(url, { agent: false, ...options }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end();
  });
}

describe("the console without certificates", () => {
  let fleet: ConsoleFleet;
  before(async () => {
    fleet = await ConsoleFleet.start(3);
  });
  after(() => fleet[Symbol.asyncDispose]());

  it("serves the page with a policy that allows nothing from anywhere else", async () => {
    const { status, headers, body } = await ask(fleet.url);
    assert.equal(status, 200);
    assert.match(body, /<title>Twill<\/title>/);
    const policy = headers["content-security-policy"];
    assert.match(String(policy), /^default-src 'none'; script-src 'self';/);
    assert.doesNotMatch(String(policy), /unsafe|\*/);
    assert.equal(headers["access-control-allow-origin"], undefined);
    const again = await ask(fleet.url, { headers: { "if-none-match": headers.etag } });
    assert.equal(again.status, 304);
  });

  it("answers the cluster as JSON, and until when its leases run", async () => {
    await until("the feed has begun", { deadlineMs: 20_000 }, async () => {
      const { body } = await ask(`${fleet.url}api/snapshot`);
      return body.includes('"node3"') ? true : undefined;
    });
    const { body } = await ask(`${fleet.url}api/ends?key=10.240.1.0-24&key=10.9.9.0-24`);
    assert.deepEqual(JSON.parse(body), [{ key: "10.240.1.0-24", seconds: 86_340 }]);
  });

  it("changes nothing, and leads nowhere outside its folder", async () => {
    assert.equal((await ask(fleet.url, { method: "POST" })).status, 405);
    assert.equal((await ask(fleet.url, { method: "DELETE" })).status, 405);
    for (const path of ["/../package.json", "/%2e%2e/main.js", "/.env", "/console.js/x"]) {
      assert.equal((await ask(fleet.url, { path })).status, 404, path);
    }
  });

  it("refuses a name that was pointed at loopback from outside", async () => {
    const rebound = { headers: { host: "evil.example:7480" } };
    const { status, body } = await ask(`${fleet.url}api/snapshot`, rebound);
    assert.equal(status, 403);
    assert.match(body, /not to "evil\.example:7480"/);
  });
});

describe("the console with certificates", () => {
  let pki: TestPki;
  let fleet: ConsoleFleet;
  let credentials: ReplicaCredentials;
  const over = new AbortController();
  let following: Promise<void>;

  async function as(files?: TlsFileNames): Promise<object> {
    const ca = await readFile(pki.caFile);
    if (files === undefined) return { ca };
    return { ca, cert: await readFile(files.certFile), key: await readFile(files.keyFile) };
  }

  before(async () => {
    pki = await TestPki.create();
    const files = await pki.files("controller", "c1");
    await pki.revoke();
    credentials = await ReplicaCredentials.open(
      { ...files, crlFile: pki.crlFile },
      { clock: systemClock, log: silentLogger },
    );
    fleet = await ConsoleFleet.start(1, { credentials });
    following = credentials.run(() => undefined, over.signal).catch(() => undefined);
  });
  after(async () => {
    over.abort();
    await following;
    await fleet[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
  });

  it("lets operators in, no node, and nobody without a certificate", async () => {
    assert.equal((await ask(fleet.url, await as(await pki.files("operator", "ann")))).status, 200);
    const node = await ask(fleet.url, await as(await pki.files("node", "n1")));
    assert.equal(node.status, 403);
    assert.match(node.body, /certificate is that of node n1/);
    await assert.rejects(ask(fleet.url, await as()));
    await assert.rejects(ask(fleet.url.replace("https", "http")));
  });

  it("lets nobody in any more whose certificate is revoked", async () => {
    const files = await pki.files("operator", "bob");
    assert.equal((await ask(fleet.url, await as(files))).status, 200);
    await pki.revoke(files);
    credentials.reload();
    await until("bob is refused", { deadlineMs: 20_000 }, async () => {
      const { status, body } = await ask(fleet.url, await as(files));
      return status === 403 && body.includes("is revoked") ? true : undefined;
    });
  });

  it("shows the certificate that is in the file now", async () => {
    const operator = await as(await pki.files("operator", "ann"));
    await pki.replaceAuthority();
    const before = await readFile(pki.caFile, "utf8");
    await pki.trust();
    await pki.revoke();
    const trusting = { ...operator, ca: [before, await readFile(pki.caFile, "utf8")] };
    await pki.files("controller", "c1");
    const stranger = await as(await pki.files("operator", "eve"));
    credentials.reload();
    await until("the new CA counts", { deadlineMs: 20_000 }, async () => {
      const { status } = await ask(fleet.url, stranger);
      return status === 200 ? true : undefined;
    });
    await assert.rejects(ask(fleet.url, trusting), "the old CA's operators are strangers now");
  });
});
