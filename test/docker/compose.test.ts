/** docker-compose.yml under a real engine: what its first lines promise is so. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { importBaseImage } from "../support/docker/base-image.ts";
import { DockerEngine } from "../support/docker/engine.ts";
import { until } from "../support/until.ts";

const FILE = fileURLToPath(new URL("../../../docker-compose.yml", import.meta.url));
const BASE = "localhost/twill-base:latest";
const COMPOSE = ["docker-compose", "--ansi", "never", "-p", "twill", "-f", FILE];
const PODS = ["pod1", "pod2", "pod3"];
/** Each has a health check. */
const HEALTHY = ["etcd", "controller", "agent"].flatMap((kind) => [1, 2, 3].map((n) => kind + n));

const why = await DockerEngine.missing();

describe("docker-compose.yml", why === undefined ? {} : { skip: why }, () => {
  it("is a cluster of two racks with pods, as its first lines say", async (t) => {
    const engine = await DockerEngine.start(t, { BASE, RUNTIME: BASE });
    const compose = (...args: readonly string[]): Promise<string> =>
      engine.run(...COMPOSE, ...args);
    const inside = (service: string, ...argv: readonly string[]): Promise<string> =>
      compose("exec", "-T", service, ...argv);
    await compose("config", "-q");
    await compose("--profile", "metrics", "config", "-q");
    await importBaseImage(engine, BASE);
    await compose("build");
    await compose("up", "-d");

    await t.test("every daemon becomes healthy", async () => {
      for (const service of HEALTHY) {
        await until(`${service} is healthy`, () => isHealthy(engine, compose, service), 120_000);
      }
    });

    await t.test("every pod reaches every pod by name", async () => {
      for (const from of PODS) {
        for (const to of PODS.filter((pod) => pod !== from)) {
          const ping = [...COMPOSE, "exec", "-T", from, "ping", "-c", "1", "-W", "2", to];
          const answers = async (): Promise<boolean> => (await engine.tryRun(...ping)).code === 0;
          await until(`${to} answers ${from}`, answers, 60_000);
        }
      }
    });

    await t.test(
      "a peer in the same rack is reached directly, one behind the router by VXLAN",
      async () => {
        const routes = await inside("agent1", "ip", "route", "show", "root", "10.244.0.0/16");
        const overlay = routes.split("\n").filter((line) => /^10\.244.* via /.test(line));
        assert.equal(overlay.length, 2, routes);
        assert.equal(
          overlay.filter((line) => / via 172\.30\.1\.[0-9]+ dev eth/.test(line)).length,
          1,
          routes,
        );
        assert.equal(
          overlay.filter((line) => / dev flannel\.1 onlink/.test(line)).length,
          1,
          routes,
        );
      },
    );

    await t.test("twillctl in a controller's container says that all is well", async () => {
      const status = await inside("controller1", "twillctl", "status");
      assert.match(status, /^nodes +3 ready, 0 behind, 0 failing, 0 lost$/m);
      assert.match(await inside("controller1", "id", "-u"), /^65532$/m);
    });

    await t.test("nothing is lost when an etcd member and a controller are killed", async () => {
      await compose("kill", "-s", "KILL", "etcd1", "controller1");
      const said = await inside("pod1", "ping", "-i", "0.1", "-c", "40", "pod3");
      assert.match(said, /40 received, 0% packet loss/);
    });
  });
});

async function isHealthy(
  engine: DockerEngine,
  compose: (...args: readonly string[]) => Promise<string>,
  service: string,
): Promise<boolean> {
  const id = (await compose("ps", "-q", service)).trim();
  const state = await engine.run("docker", "inspect", "-f", "{{.State.Health.Status}}", id);
  return state.trim() === "healthy";
}
