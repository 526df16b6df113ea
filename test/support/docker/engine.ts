/**
 * A Docker engine of a test's own, in a network namespace without a way out: its bridges, packet
 * filter and ip_forward never touch this machine, and no container's packet leaves it. So images
 * cannot be pulled; base-image.ts makes one of what this machine has.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  type CommandResult,
  plainEnvironment,
  run,
  tryRun,
} from "../../../scripts/testbed/command.ts";
import { NetworkNamespace } from "../netns.ts";
import { until } from "../until.ts";

const SLOW_MS = 480_000;

export class DockerEngine {
  readonly #socket: string;
  readonly #extra: Readonly<Record<string, string>>;

  private constructor(socket: string, extra: Readonly<Record<string, string>>) {
    this.#socket = socket;
    this.#extra = extra;
  }

  /** Why there can be none here; undefined: the programs are there. */
  static async missing(): Promise<string | undefined> {
    for (const program of ["dockerd", "docker", "docker-compose"]) {
      const { code } = await tryRun(["sh", "-c", `command -v ${program}`]);
      if (code !== 0) return `${program} is not installed (scripts/install-deps --docker)`;
    }
    return undefined;
  }

  /** Ended after the test, with all its containers. `environment` is what compose files see. */
  static async start(
    t: TestContext,
    environment: Readonly<Record<string, string>>,
  ): Promise<DockerEngine> {
    const network = await NetworkNamespace.create();
    t.after(() => network[Symbol.asyncDispose]());
    const folder = mkdtempSync(join(tmpdir(), "twill-docker-"));
    const socket = `unix://${folder}/docker.sock`;
    const options = [
      ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "run")],
      ...["-p", join(folder, "pid"), "-H", socket],
    ];
    // Not `ip netns exec`: it mounts another /sys, and the engine would miss the cgroups.
    const argv = [`--net=${network.path}`, "dockerd", ...options];
    const child = spawn("nsenter", argv, { stdio: ["ignore", "ignore", "pipe"] });
    const said = lastLines(child);
    t.after(() => end(child, folder));
    const engine = new DockerEngine(socket, environment);
    await until(
      "the engine answers",
      async () => {
        if (child.exitCode !== null) throw new Error(`dockerd ended: ${said()}`);
        return (await engine.tryRun("docker", "version")).code === 0;
      },
      60_000,
    );
    return engine;
  }

  /** Runs docker or docker-compose against this engine; its output. */
  run(...argv: readonly string[]): Promise<string> {
    return run(argv, { env: this.#environment(), timeoutMs: SLOW_MS });
  }

  tryRun(...argv: readonly string[]): Promise<CommandResult> {
    return tryRun(argv, { env: this.#environment(), timeoutMs: SLOW_MS });
  }

  #environment(): Record<string, string> {
    // The classic builder: Debian's engine has no other, and newer ones take this as a wish.
    const builder = { DOCKER_BUILDKIT: "0", HOME: "/nonexistent" };
    return { ...plainEnvironment(), ...builder, DOCKER_HOST: this.#socket, ...this.#extra };
  }
}

function lastLines(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString("utf8")).slice(-4000);
  });
  return () => text;
}

/** The engine ends its containers on SIGTERM; mounts that it left are undone. */
async function end(child: ChildProcess, folder: string): Promise<void> {
  child.kill("SIGTERM");
  await until(
    "the engine ended",
    () => child.exitCode !== null || child.signalCode !== null,
    60_000,
  );
  const mounts = await run(["awk", `index($2, "${folder}/") == 1 { print $2 }`, "/proc/mounts"]);
  for (const mount of mounts
    .split("\n")
    .filter((line) => line !== "")
    .toReversed()) {
    await tryRun(["umount", "-l", mount]);
  }
  rmSync(folder, { recursive: true, force: true });
}
