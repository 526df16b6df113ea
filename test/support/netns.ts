/**
 * Network namespaces for tests against the real kernel: one of its own for each test, deleted
 * afterwards, and shown whole when the test failed. Those that a killed run left behind are
 * deleted by the next.
 */
import { existsSync, readdirSync } from "node:fs";
import type { TestContext } from "node:test";
import { run, tryRun } from "../../scripts/testbed/command.ts";

const FOLDER = "/run/netns";
/** The rest of a name is the process id of the test, and a count. */
const PREFIX = "twns-";

let made = 0;

export class NetworkNamespace implements AsyncDisposable {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** With nothing but `lo`, which is up. */
  static async create(): Promise<NetworkNamespace> {
    await sweep();
    made += 1;
    const namespace = new NetworkNamespace(`${PREFIX}${process.pid}-${made}`);
    await run(["ip", "netns", "add", namespace.name]);
    await namespace.run("ip", "link", "set", "lo", "up");
    // IPv6 addresses can be used at once, and change no more a second later.
    await namespace.run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
    return namespace;
  }

  /** For NetlinkKernel's `netns`. */
  get path(): string {
    return `${FOLDER}/${this.name}`;
  }

  /** Runs a program inside; its output, or an error when it fails. */
  run(...argv: readonly string[]): Promise<string> {
    return run(this.inside(argv));
  }

  /** The command line that runs `argv` inside. */
  inside(argv: readonly string[]): readonly string[] {
    return ["ip", "netns", "exec", this.name, ...argv];
  }

  /**
   * Adds a network card that is up and has carrier: one end of a veth pair whose other end,
   * `<name>-far`, stays beside it.
   */
  async addCard(name: string, ...addresses: readonly string[]): Promise<void> {
    const far = `${name}-far`;
    await this.run("ip", "link", "add", name, "type", "veth", "peer", "name", far);
    for (const address of addresses) {
      await this.run("ip", "address", "add", address, "dev", name);
    }
    await this.run("ip", "link", "set", far, "up");
    await this.run("ip", "link", "set", name, "up");
  }

  /** Everything one needs to understand a failure. */
  async describe(): Promise<string> {
    const commands = [
      ["ip", "-d", "link"],
      ["ip", "address"],
      ["ip", "route", "show", "table", "all"],
      ["ip", "-6", "route", "show", "table", "all"],
      ["ip", "neighbour", "show", "nud", "all"],
      ["bridge", "fdb"],
      ["nft", "list", "ruleset"],
    ];
    const texts: string[] = [];
    for (const argv of commands) {
      const { stdout, stderr } = await tryRun(this.inside(argv));
      texts.push(`$ ${argv.join(" ")}\n${stdout}${stderr}`);
    }
    return texts.join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tryRun(["ip", "netns", "delete", this.name]);
  }
}

/** A namespace for one test: deleted after it, shown when it failed. */
export async function namespaceFor(t: TestContext): Promise<NetworkNamespace> {
  const namespace = await NetworkNamespace.create();
  t.after(async () => {
    if (!passed(t)) t.diagnostic(`kernel of this failure:\n${await namespace.describe()}`);
    await namespace[Symbol.asyncDispose]();
  });
  return namespace;
}

/** Node 20 has no `t.passed`; the error of a failed test is known to its after hooks. */
function passed(t: TestContext): boolean {
  const outcome: unknown = Reflect.get(t, "passed") ?? Reflect.get(t, "error") === null;
  return outcome === true;
}

async function sweep(): Promise<void> {
  if (!existsSync(FOLDER)) return;
  for (const name of readdirSync(FOLDER)) {
    const pid = new RegExp(`^${PREFIX}([0-9]+)-[0-9]+$`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      await tryRun(["ip", "netns", "delete", name]);
    }
  }
}
