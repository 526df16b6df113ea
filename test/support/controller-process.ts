/** Real controllers as processes on loopback: started, killed, restarted, and what they log. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { credentials } from "@grpc/grpc-js";
import { isJsonObject, type JsonObject } from "../../common/config/json-fields.ts";
import { OperatorClient, type Status } from "../../proto/gen/twill/v1/operator.ts";
import { freePort } from "./etcd-server.ts";

const PROGRAM = fileURLToPath(new URL("../../controller/main.js", import.meta.url));
const MAX_LOG = 1024 * 1024;

export interface ControllerOptions {
  readonly etcd: readonly string[];
  readonly args?: readonly string[];
  /** Of node itself, e.g. `--cpu-prof`. */
  readonly nodeArgs?: readonly string[];
  /** undefined: plaintext. */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
}

function securityArgs(tls: ControllerOptions["tls"]): readonly string[] {
  if (tls === undefined) return ["--insecure"];
  const { caFile, certFile, keyFile } = tls;
  return ["--tls-ca-file", caFile, "--tls-cert-file", certFile, "--tls-key-file", keyFile];
}

export class ControllerProcess {
  readonly name: string;
  readonly address: string;
  readonly adminUrl: string;
  readonly #argv: readonly string[];
  #child: ChildProcess | undefined;
  #log = "";

  private constructor(
    name: string,
    ports: { grpc: number; admin: number },
    options: ControllerOptions,
  ) {
    this.name = name;
    this.address = `127.0.0.1:${ports.grpc}`;
    this.adminUrl = `http://127.0.0.1:${ports.admin}`;
    this.#argv = [
      ...(options.nodeArgs ?? []),
      PROGRAM,
      ...["--etcd-endpoints", options.etcd.join(","), "--name", name],
      ...securityArgs(options.tls),
      ...["--listen", this.address, "--advertise-address", this.address],
      ...["--healthz-ip", "127.0.0.1", "--healthz-port", String(ports.admin)],
      ...["--log-format", "json", ...(options.args ?? [])],
    ];
  }

  /** Starts it without waiting for anything. */
  static async start(name: string, options: ControllerOptions): Promise<ControllerProcess> {
    const ports = { grpc: await freePort(), admin: await freePort() };
    const controller = new ControllerProcess(name, ports, options);
    await controller.restart();
    return controller;
  }

  async restart(): Promise<void> {
    // Dies with the test, however the test ends.
    const argv = ["--pdeathsig", "KILL", process.execPath, ...this.#argv];
    const child = spawn("setpriv", argv, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-MAX_LOG);
    });
    this.#child = child;
    await once(child, "spawn");
  }

  /** Of the process that runs; undefined: none does. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What it wrote so far, over all its lives. */
  get log(): string {
    return this.#log;
  }

  /** Events of this name, parsed. */
  events(name: string): readonly JsonObject[] {
    return this.#log
      .split("\n")
      .filter((line) => line.includes(`"event":"${name}"`))
      .map((line) => {
        const event: unknown = JSON.parse(line);
        return isJsonObject(event) ? event : {};
      });
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    child.kill("SIGCONT");
    await ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async httpStatus(path: string): Promise<number | undefined> {
    const answer = await fetch(`${this.adminUrl}${path}`).catch(() => undefined);
    return answer?.status;
  }

  async status(): Promise<Status> {
    const client = new OperatorClient(this.address, credentials.createInsecure());
    try {
      return await new Promise<Status>((resolve, reject) => {
        client.getStatus({}, (error, status) => {
          if (error === null) resolve(status);
          else reject(error);
        });
      });
    } finally {
      client.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
