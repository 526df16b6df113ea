/** The lab command's verbs and options, with their help. */
import { Command } from "commander";
import { nearest } from "../../common/text/nearest.ts";
import { BACKENDS } from "./settings.ts";

/** Options as commander hands them over. */
export interface SettingOptions {
  readonly name: string;
  readonly nodes: string;
  readonly controllers: string;
  readonly etcdMembers: string;
  readonly backend: string;
  readonly config?: string;
  readonly insecure: boolean;
}

/** What each verb does; a number is the exit code. */
export interface Verbs {
  tour(options: SettingOptions): Promise<number>;
  up(options: SettingOptions): Promise<number>;
  /** Run by `up` in the background. */
  supervise(options: SettingOptions): Promise<number>;
  tell(lab: string, verb: string, args: readonly string[]): Promise<number>;
  exec(lab: string, target: string, argv: readonly string[]): Promise<number>;
  logs(
    lab: string,
    names: readonly string[],
    options: { follow: boolean; lines: string },
  ): Promise<number>;
  console(lab: string, port: string): Promise<number>;
  down(lab: string): Promise<number>;
}

const EXAMPLES = `
Examples:
  scripts/lab                                  show the main job and check it
  scripts/lab --nodes 5 --backend host-gw
  scripts/lab --guest --backend wireguard      under a kernel that has what this one lacks
  scripts/lab up
  scripts/lab exec etcd1 -- etcdctl get --prefix /coreos.com/network
  scripts/lab exec node1 -- ip route
  scripts/lab exec controller1 -- twillctl status
  scripts/lab console                          the web console, at http://127.0.0.1:7480/
  scripts/lab exec node1/pod1 -- ping 10.244.2.2
  scripts/lab kill controller1
  scripts/lab cut node1 node2 && scripts/lab heal
  scripts/lab down

Machines are node1.., controller1.., etcd1..; each has one daemon and its log by that name.
Everything lives in network namespaces named twl-<lab>-<machine>; no packet leaves them.`;

export function commandLine(verbs: Verbs, done: (exit: number) => void): Command {
  const program = withSettings(new Command("scripts/lab"))
    .description(
      "A Twill cluster on this one machine: real etcd, controllers, agents and pods, each machine in network namespaces. Without a verb: shows the main job, checks it, and cleans up.",
    )
    .argument("[verb]")
    .usage("[options] [verb]")
    .enablePositionalOptions()
    // Wrong usage is 2, as everywhere; commander says 1.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .showHelpAfterError("(scripts/lab --help shows all verbs and options)")
    .addHelpText("after", EXAMPLES);
  // Commander would take them for the tour's and leave the verb with its defaults.
  program.hook("preSubcommand", () => {
    const early = Object.keys(program.opts()).some(
      (option) => program.getOptionValueSource(option) === "cli",
    );
    if (early)
      program.error("options go after the verb: scripts/lab up --nodes 5", { exitCode: 2 });
  });
  program.action(async (verb: string | undefined, options: SettingOptions) => {
    if (verb !== undefined) return program.error(unknownVerb(verb, program), { exitCode: 2 });
    done(await verbs.tour(options));
  });
  addLifeVerbs(program, verbs, done);
  addToolVerbs(program, verbs, done);
  addChangeVerbs(program, verbs, done);
  return program;
}

function addLifeVerbs(program: Command, verbs: Verbs, done: (exit: number) => void): void {
  withSettings(program.command("up"))
    .description("start a lab to play with; it stays until `down`")
    .action(async (options: SettingOptions) => done(await verbs.up(options)));
  withSettings(program.command("supervise", { hidden: true })).action(
    async (options: SettingOptions) => done(await verbs.supervise(options)),
  );
  withName(program.command("down"))
    .description("end the lab and leave nothing behind")
    .action(async ({ name }: { name: string }) => done(await verbs.down(name)));
  withName(program.command("status"))
    .description("machines, daemons, leader, leases, and whether every kernel is converged")
    .action(async ({ name }: { name: string }) => done(await verbs.tell(name, "status", [])));
}

function addToolVerbs(program: Command, verbs: Verbs, done: (exit: number) => void): void {
  withName(program.command("exec"))
    .description("run a program on a machine, or in a pod (node1/pod1); without one: a shell")
    .argument("<machine>")
    .argument("[command...]")
    .passThroughOptions()
    .action(async (target: string, argv: string[], { name }: { name: string }) =>
      // Everything behind the machine is the program's, but for the "--" that says so.
      done(await verbs.exec(name, target, argv[0] === "--" ? argv.slice(1) : argv)),
    );
  withName(program.command("console"))
    .description("the web console for a browser of this machine, until Ctrl-C")
    .option("--port <number>", "on 127.0.0.1; 0: any", "7480")
    .action(async ({ name, port }: { name: string; port: string }) =>
      done(await verbs.console(name, port)),
    );
  withName(program.command("logs"))
    .description("logs of the named daemons, or of all")
    .argument("[name...]")
    .option("-f, --follow", "go on as they grow", false)
    .option("-n, --lines <number>", "how many lines, from the end", "50")
    .action(async (names: string[], options: { name: string; follow: boolean; lines: string }) =>
      done(await verbs.logs(options.name, names, options)),
    );
}

function addChangeVerbs(program: Command, verbs: Verbs, done: (exit: number) => void): void {
  const change = (usage: string, description: string, more: readonly string[] = []): void => {
    const [verb = ""] = usage.split(" ");
    withName(program.command(usage))
      .description(description)
      .action(async (...given: unknown[]) => {
        const command = given.at(-1);
        if (!(command instanceof Command)) return;
        const { name } = command.opts<{ name: string }>();
        done(await verbs.tell(name, verb, [...command.args, ...more]));
      });
  };
  change("add [node]", "one more node, with an agent and a pod");
  change("remove <node>", "stop a node's agent, give its lease back, take the machine away");
  change("kill <daemon>", "kill -9; it is started again at once, as systemd would");
  change("stop <daemon>", "SIGTERM; it stays stopped");
  change("start <daemon>", "start what was stopped");
  change("cut <a> <b>", "drop every packet between two machines");
  change("heal", "undo every cut");
}

/** The options as a command line again. */
export function settingArguments(options: SettingOptions): string[] {
  const { name, nodes, controllers, etcdMembers, backend, config, insecure } = options;
  const always = { name, nodes, controllers, "etcd-members": etcdMembers, backend };
  const given = Object.entries(config === undefined ? always : { ...always, config });
  const flags = insecure ? ["--insecure"] : [];
  return [...given.map(([flag, value]) => `--${flag}=${value}`), ...flags];
}

function withName(command: Command): Command {
  return command.option("--name <name>", "which lab; several can be up", "lab");
}

function withSettings(command: Command): Command {
  return withName(command)
    .option("--nodes <number>", "machines with an agent and a pod", "3")
    .option("--controllers <number>", "controller replicas", "3")
    .option("--etcd-members <number>", "etcd members", "1")
    .option("--backend <type>", `how nodes reach each other: ${BACKENDS.join(", ")}`, "vxlan")
    .option("--insecure", "plaintext instead of mutual TLS between the daemons", false)
    .option("--config <file>", "network config (flannel's JSON) instead of --backend");
}

function unknownVerb(verb: string, program: Command): string {
  const meant = nearest(
    verb,
    program.commands.map((command) => command.name()),
  );
  return `unknown verb "${verb}"${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}
