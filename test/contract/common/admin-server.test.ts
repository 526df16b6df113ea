/** The admin server on a real port: flannel's answers, and no harm from odd requests. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { type AdminServer, startAdminServer, text } from "../../../common/admin-server.ts";
import { TwillError } from "../../../common/errors.ts";
import { Health, type HealthComponent } from "../../../common/health.ts";
import { fetchFrom } from "../../support/http.ts";
import { LogCapture } from "../../support/log-capture.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const bodies = {
  live: "flanneld is running",
  ready: "flanneld is ready",
  notReady: "flanneld is not ready yet",
};
const listen = { host: "127.0.0.1", port: 0 };

describe("the admin server", () => {
  const log = new LogCapture();
  const health = new Health(new ManualClock());
  let loop: HealthComponent;
  let lease: HealthComponent;
  let server: AdminServer;

  before(async () => {
    loop = health.component("loop", { gate: "live" });
    lease = health.component("lease", { gate: "ready" });
    loop.ok();
    const routes = [
      { path: "/metrics", respond: () => text(200, "twill_up 1\n") },
      {
        path: "/broken",
        respond: () => {
          throw new TwillError("BUG", "no state");
        },
      },
    ];
    server = await startAdminServer({ listen, health, bodies, routes, logger: log });
  });
  after(() => server.close());

  it("says that it is running and, when it is, ready, in flannel's words", async () => {
    const answers = [await fetchFrom(server.address, "/healthz")];
    answers.push(await fetchFrom(server.address, "/readyz"));
    lease.ok();
    answers.push(await fetchFrom(server.address, "/readyz"));
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body]),
      [
        [200, "flanneld is running"],
        [503, "flanneld is not ready yet"],
        [200, "flanneld is ready"],
      ],
    );
  });

  it("tells the truth about a stuck part", async () => {
    loop.degraded("no pass for 60 s");
    const { status, body } = await fetchFrom(server.address, "/healthz");
    loop.ok();
    assert.deepEqual([status, body], [503, "loop: no pass for 60 s"]);
  });

  it("lists the components under /health", async () => {
    const { body, contentType } = await fetchFrom(server.address, "/health?pretty");
    assert.equal(contentType, "application/json");
    assert.deepEqual(JSON.parse(body), {
      live: true,
      ready: true,
      components: [
        { name: "loop", gate: "live", state: "ok", for_s: 0 },
        { name: "lease", gate: "ready", state: "ok", for_s: 0 },
      ],
    });
  });

  it("serves the routes it was given, without a body to HEAD", async () => {
    assert.equal((await fetchFrom(server.address, "/metrics")).body, "twill_up 1\n");
    const head = await fetchFrom(server.address, "/metrics", "HEAD");
    assert.deepEqual([head.status, head.body], [200, ""]);
  });

  it("refuses other methods and names the pages there are", async () => {
    assert.equal((await fetchFrom(server.address, "/healthz", "POST")).status, 405);
    const missing = await fetchFrom(server.address, "/nonsense");
    assert.equal(missing.status, 404);
    assert.match(missing.body, /\/healthz \/readyz \/health \/metrics/);
  });

  it("hides why a page failed, and logs it", async () => {
    const { status, body } = await fetchFrom(server.address, "/broken");
    assert.equal(status, 500);
    assert.doesNotMatch(body, /no state/);
    assert.deepEqual(
      log.of("admin.failed").map(({ fields }) => [fields["error"], fields["code"]]),
      [["no state", "BUG"]],
    );
  });

  it("survives a client that speaks no HTTP", async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(server.address.port, "127.0.0.1", () =>
        socket.write("\0\0garbage\n\n"),
      );
      socket.on("close", () => resolve());
      socket.on("error", () => undefined);
      socket.resume();
    });
    assert.equal((await fetchFrom(server.address, "/healthz")).status, 200);
  });

  it("names the address it cannot have", async () => {
    const taken = { ...listen, port: server.address.port };
    await assert.rejects(
      startAdminServer({ listen: taken, health, bodies, routes: [], logger: log }),
      (error: unknown) =>
        error instanceof TwillError &&
        error.code === "LISTEN_FAILED" &&
        error.message.includes(`127.0.0.1:${taken.port}`),
    );
  });

  it("ends idle connections when it closes", async () => {
    const other = await startAdminServer({ listen, health, bodies, routes: [], logger: log });
    const ended = new Promise<void>((resolve) => {
      const socket = connect(other.address.port, "127.0.0.1", () => void other.close());
      socket.on("close", () => resolve());
      socket.on("error", () => undefined);
      socket.resume();
    });
    await ended;
  });
});
