/**
 * Real etcd for tests and labs: one member or a cluster, on loopback or inside a network
 * namespace, data in memory (/dev/shm), with everything a fault test does to it: stop, kill,
 * freeze (SIGSTOP), restart, and etcdctl as an operator would type it. Members die with the
 * process that started them (PR_SET_PDEATHSIG).
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 50;
const MAX_LOG_BYTES = 256 * 1024;
/** Below the kernel's ephemeral range, so no outgoing connection takes the port of a stopped member. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

export interface EtcdTls {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Ask clients for a certificate of the CA. */
  readonly clientCertAuth: boolean;
  /** What etcdctl shows; needed with clientCertAuth. */
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
}

export interface EtcdClusterOptions {
  /** 1 (default), 3 or 5. */
  readonly members?: number;
  /** Run inside this network namespace (`ip netns exec`). */
  readonly netns?: string;
  /** Address to listen on, client and peer side; default 127.0.0.1. */
  readonly host?: string;
  /** Client port of the first member, every further one 10 higher; default: free ports. */
  readonly clientPort?: number;
  readonly tls?: EtcdTls;
  /** More options for every member, e.g. ["--quota-backend-bytes=1"]. */
  readonly args?: readonly string[];
}

interface MemberPorts {
  readonly client: number;
  readonly peer: number;
  readonly metrics: number;
}

/** Starts the members and waits until each answers. */
export async function startEtcd(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
  const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const directory = await mkdtemp(join(base, "twill-etcd-"));
  const ports: MemberPorts[] = [];
  for (let index = 0; index < (options.members ?? 1); index += 1) {
    ports.push(await memberPorts(options, index));
  }
  const cluster = new EtcdCluster(options, directory, ports);
  try {
    await Promise.all(cluster.members.map((member) => member.start()));
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}

export class EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly #options: EtcdClusterOptions;
  readonly #directory: string;

  constructor(options: EtcdClusterOptions, directory: string, ports: readonly MemberPorts[]) {
    this.#options = options;
    this.#directory = directory;
    const host = options.host ?? "127.0.0.1";
    const initial = ports.map((p, i) => `m${i}=http://${host}:${p.peer}`).join(",");
    const shared = ["--initial-cluster", initial, "--initial-cluster-token", directory];
    this.members = ports.map(
      (own, index) => new EtcdMember(options, { name: `m${index}`, directory, ports: own, shared }),
    );
  }

  /** Client URLs of all members. */
  get endpoints(): readonly string[] {
    return this.members.map((member) => member.clientUrl);
  }

  get first(): EtcdMember {
    const [first] = this.members;
    if (first === undefined) throw new Error("an etcd cluster has at least one member");
    return first;
  }

  /** The member that raft elected. */
  async leader(): Promise<EtcdMember> {
    for (const member of this.members.filter((each) => each.running)) {
      const status = await this.#status(member).catch(() => undefined);
      if (status !== undefined && status.id === status.leader) return member;
    }
    throw new Error("no etcd member says that it leads");
  }

  /** Runs etcdctl against all endpoints; answers its stdout. */
  async etcdctl(...args: readonly string[]): Promise<string> {
    const [command, argv] = this.etcdctlCommand(this.endpoints, args);
    const maxBuffer = 64 * 1024 * 1024;
    const { stdout } = await run(command, argv, { env: this.etcdctlEnv, maxBuffer });
    return stdout;
  }

  /** The command line of `etcdctl`, for tests that keep one running (`elect --listen`). */
  etcdctlCommand(endpoints: readonly string[], args: readonly string[]): [string, string[]] {
    return etcdctlCommand(this.#options, endpoints, args);
  }

  /** Environment for a command from `etcdctlCommand`. */
  get etcdctlEnv(): NodeJS.ProcessEnv {
    return { ...process.env, ETCDCTL_API: "3" };
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    await rm(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #status(member: EtcdMember): Promise<{ readonly id: string; readonly leader: string }> {
    const args = ["endpoint", "status", "-w", "fields", "--command-timeout=2s"];
    const [command, argv] = this.etcdctlCommand([member.clientUrl], args);
    const { stdout } = await run(command, argv, { env: this.etcdctlEnv });
    const id = /"MemberID" : (\d+)/.exec(stdout)?.[1];
    const leader = /"Leader" : (\d+)/.exec(stdout)?.[1];
    if (id === undefined || leader === undefined) throw new Error(`etcdctl said: ${stdout}`);
    return { id, leader };
  }
}

interface MemberSetup {
  readonly name: string;
  readonly directory: string;
  readonly ports: MemberPorts;
  readonly shared: readonly string[];
}

export class EtcdMember {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly clientUrl: string;
  readonly #options: EtcdClusterOptions;
  readonly #setup: MemberSetup;
  #child: ChildProcess | undefined;
  #log = "";

  constructor(options: EtcdClusterOptions, setup: MemberSetup) {
    this.name = setup.name;
    this.host = options.host ?? "127.0.0.1";
    this.port = setup.ports.client;
    const scheme = options.tls === undefined ? "http" : "https";
    this.clientUrl = `${scheme}://${this.host}:${this.port}`;
    this.#options = options;
    this.#setup = setup;
  }

  /** Where it shows its Prometheus metrics. */
  get metricsUrl(): string {
    return `http://${this.host}:${this.#setup.ports.metrics}/metrics`;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** The end of what the member wrote to stderr. */
  get log(): string {
    return this.#log;
  }

  /** Starts (again) on the same data and ports; resolves when it answers, with a quorum. */
  async start(): Promise<void> {
    await this.spawn();
    await this.ready();
  }

  /** Starts without waiting for an answer (a member without quorum never answers). */
  async spawn(): Promise<void> {
    const argv = ["--pdeathsig", "KILL", "etcd", ...this.#argv()];
    const [command, args] = inNetns(this.#options.netns, "setpriv", argv);
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-MAX_LOG_BYTES);
    });
    child.once("exit", () => {
      if (this.#child === child) this.#child = undefined;
    });
    await once(child, "spawn");
  }

  /** Waits until the member answers and knows a leader. */
  async ready(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await this.#isHealthy())) {
      if (this.#child === undefined) throw new Error(`etcd ${this.name} ended:\n${this.#log}`);
      if (Date.now() > deadline) throw new Error(`etcd ${this.name} is not up:\n${this.#log}`);
      await delay(POLL_MS);
    }
  }

  /** SIGTERM and wait: an ordered stop. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** SIGKILL and wait: a crash. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGSTOP: connections stay open, nothing answers. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = once(child, "exit");
    child.kill(signal);
    // A frozen process takes SIGTERM only when it runs again.
    child.kill("SIGCONT");
    await ended;
  }

  async #isHealthy(): Promise<boolean> {
    if (this.#options.netns === undefined) {
      const url = `http://${this.host}:${this.#setup.ports.metrics}/health`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
      return answer?.status === 200;
    }
    const args = ["endpoint", "health", "--command-timeout=2s"];
    const [command, argv] = etcdctlCommand(this.#options, [this.clientUrl], args);
    const env = { ...process.env, ETCDCTL_API: "3" };
    return run(command, argv, { env }).then(
      () => true,
      () => false,
    );
  }

  #argv(): string[] {
    const { host } = this;
    const { name, directory, ports, shared } = this.#setup;
    const { tls } = this.#options;
    const peerUrl = `http://${host}:${ports.peer}`;
    const secure =
      tls === undefined ? [] : [`--cert-file=${tls.certFile}`, `--key-file=${tls.keyFile}`];
    // etcd asks for client certificates as soon as it is given a CA.
    const clientAuth = tls?.clientCertAuth
      ? ["--client-cert-auth", `--trusted-ca-file=${tls.caFile}`]
      : [];
    return [
      ...["--name", name, "--data-dir", join(directory, name)],
      ...["--listen-client-urls", this.clientUrl, "--advertise-client-urls", this.clientUrl],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--listen-metrics-urls", `http://${host}:${ports.metrics}`],
      ...["--logger", "zap", "--log-level", "warn"],
      // Without it a member that comes back forces an election that costs seconds.
      "--pre-vote",
      ...shared,
      ...secure,
      ...clientAuth,
      ...(this.#options.args ?? []),
    ];
  }
}

function inNetns(
  netns: string | undefined,
  command: string,
  argv: readonly string[],
): [string, string[]] {
  if (netns === undefined) return [command, [...argv]];
  return ["ip", ["netns", "exec", netns, command, ...argv]];
}

function etcdctlCommand(
  options: EtcdClusterOptions,
  endpoints: readonly string[],
  args: readonly string[],
): [string, string[]] {
  const { tls } = options;
  const files: string[] = [];
  if (tls !== undefined) files.push(`--cacert=${tls.caFile}`);
  if (tls?.clientCertFile !== undefined) files.push(`--cert=${tls.clientCertFile}`);
  if (tls?.clientKeyFile !== undefined) files.push(`--key=${tls.clientKeyFile}`);
  const argv = [`--endpoints=${endpoints.join(",")}`, ...files, ...args];
  return inNetns(options.netns, "etcdctl", argv);
}

async function memberPorts(options: EtcdClusterOptions, index: number): Promise<MemberPorts> {
  const { clientPort } = options;
  if (clientPort !== undefined) {
    const client = clientPort + index * 10;
    return { client, peer: client + 1, metrics: client + 2 };
  }
  if (options.netns !== undefined) return memberPorts({ ...options, clientPort: 2379 }, index);
  return { client: await freePort(), peer: await freePort(), metrics: await freePort() };
}

/** A port nobody listens on and nobody else of this process was given. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (!given.has(port) && (await isFree(port))) {
      given.add(port);
      return port;
    }
  }
}

const given = new Set<number>();

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
