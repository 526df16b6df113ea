/**
 * The command line of twill-agent, compiled once: what was given becomes complete, compared
 * and parsed options, or all that is wrong with it. Pure; main.ts passes argv, environment
 * and the host's name.
 */
import { renderHelp, renderMarkdown } from "../common/config/option-help.ts";
import { renderMan } from "../common/config/option-man.ts";
import { type Environment, type GivenOption, parseOptions } from "../common/config/option-table.ts";
import type { Level } from "../common/events.ts";
import { formatHostPort, type HostPort } from "../common/net/host-port.ts";
import { formatIp } from "../common/net/ip.ts";
import { nearest } from "../common/text/nearest.ts";
import type { GivenOptions } from "./given-options.ts";
import type { InterfaceWish } from "./host/interface-select.ts";
import { AGENT_MAN_PAGE } from "./man-page.ts";
import { MembershipFiles } from "./membership/membership-files.ts";
import { AGENT_OPTION_TABLE } from "./option-table.ts";
import type { TlsFiles } from "./rpc/channel.ts";

export interface AgentOptions {
  /** "host:port" each, at least one for `run`. */
  readonly controllers: readonly string[];
  readonly node: string;
  /** undefined: plaintext, asked for by --insecure. */
  readonly tls: TlsFiles | undefined;
  /** Becomes a node by the token in this file; undefined: `tls` names its files. */
  readonly joinTokenFile: string | undefined;
  readonly wish: InterfaceWish;
  readonly rules: RuleOptions;
  readonly subnetFile: string;
  /** Folder for the CNI configuration; undefined: none is written. */
  readonly cniConfDir: string | undefined;
  readonly stateDir: string;
  readonly wireguardKeyFile: string;
  readonly releaseOnExit: boolean;
  readonly onSubnetTaken: "renumber" | "hold";
  readonly purge: boolean;
  /** undefined: not served. */
  readonly healthz: HostPort | undefined;
  readonly logFormat: "json" | "text";
  readonly logLevel: Level;
}

export interface RuleOptions {
  readonly ipMasq: boolean;
  readonly fullyRandom: boolean;
  readonly forwardRules: boolean;
  readonly resyncMs: number;
  readonly blackholeRoute: boolean;
  readonly txChecksumOff: boolean;
}

export type AgentCommand =
  | {
      readonly kind: "run" | "cleanup";
      readonly options: AgentOptions;
      readonly given: readonly GivenOption[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

const COMMANDS = ["run", "cleanup", "version", "help"] as const;
type CommandName = (typeof COMMANDS)[number];

const USAGE = `[run|cleanup|version] [options]

Commands:
  run        hold the node in the network (the default)
  cleanup    remove every device, route, rule and chain that Twill made
  version    print the version`;

/** `argv` without interpreter and script. */
export function parseAgentCommand(
  argv: readonly string[],
  env: Environment,
  hostName: string,
): AgentCommand {
  const first = argv[0] ?? "";
  const isNamed = first !== "" && !first.startsWith("-");
  const name = isNamed ? COMMANDS.find((known) => known === first) : "run";
  if (name === undefined) return { kind: "invalid", problems: [unknownCommand(first)] };
  if (name === "version") return { kind: "version" };
  if (name === "help") return help(argv[1]);
  return parseArguments(name, isNamed ? argv.slice(1) : argv, env, hostName);
}

function parseArguments(
  name: Exclude<CommandName, "version" | "help">,
  argv: readonly string[],
  env: Environment,
  hostName: string,
): AgentCommand {
  const parsed = parseOptions(argv, withFlannelsNames(env), AGENT_OPTION_TABLE);
  switch (parsed.kind) {
    case "help":
      return help();
    case "version":
    case "invalid":
      return parsed;
    case "options": {
      const options = compile(parsed.values, hostName);
      const problems = contradictions(name, parsed.values, options);
      if (problems.length > 0) return { kind: "invalid", problems };
      return { kind: name, options, given: parsed.given, warnings: parsed.warnings };
    }
  }
}

/** flanneld's one variable that is not named after an option (contract 2.2). */
function withFlannelsNames(env: Environment): Environment {
  const keyFile = env["WIREGUARD_KEY_FILE"];
  return keyFile === undefined ? env : { FLANNELD_WIREGUARD_KEY_FILE: keyFile, ...env };
}

/** The forms are for scripts/gen-docs and scripts/package, and not in the help themselves. */
function help(form = ""): AgentCommand {
  switch (form) {
    case "--markdown":
      return { kind: "help", text: renderMarkdown(AGENT_OPTION_TABLE) };
    case "--man":
      return { kind: "help", text: renderMan(AGENT_OPTION_TABLE, AGENT_MAN_PAGE) };
    default:
      return { kind: "help", text: renderHelp(AGENT_OPTION_TABLE, USAGE) };
  }
}

function unknownCommand(word: string): string {
  const meant = nearest(word, COMMANDS);
  const hint = meant === undefined ? "see --help" : `did you mean ${meant}?`;
  return `unknown command ${JSON.stringify(word.slice(0, 80))}; ${hint}`;
}

function compile(given: GivenOptions, hostName: string): AgentOptions {
  const { healthzIp, healthzPort } = given;
  return {
    controllers: given.controllers.map(formatHostPort),
    node: given.nodeName === "" ? hostName : given.nodeName,
    tls: tlsOf(given),
    joinTokenFile: given.joinTokenFile === "" ? undefined : given.joinTokenFile,
    wish: {
      ifaces: given.iface,
      regexes: given.ifaceRegex,
      canReach: given.ifaceCanReach,
      publicIp: given.publicIp,
      publicIpv6: given.publicIpv6,
    },
    rules: {
      ipMasq: given.ipMasq,
      fullyRandom: !given.ipMasqFullyRandomDisable,
      forwardRules: given.iptablesForwardRules,
      resyncMs: given.iptablesResync * 1000,
      blackholeRoute: given.ipBlackholeRoute,
      txChecksumOff: given.tunnelTxChecksumOff,
    },
    subnetFile: given.subnetFile,
    cniConfDir: given.cniConfDir === "" ? undefined : given.cniConfDir,
    stateDir: given.stateDir,
    wireguardKeyFile: given.wireguardKeyFile,
    releaseOnExit: given.releaseOnExit,
    onSubnetTaken: given.onSubnetTaken,
    purge: given.purge,
    healthz: healthzPort === 0 ? undefined : { host: formatIp(healthzIp), port: healthzPort },
    logFormat: given.logFormat,
    logLevel: given.v > 0 ? "debug" : given.logLevel,
  };
}

/** Whoever joins by token has the files that it was given then. */
function tlsOf(given: GivenOptions): TlsFiles | undefined {
  if (given.insecure) return undefined;
  if (given.joinTokenFile !== "") return new MembershipFiles(given.stateDir).tls;
  const { tlsCaFile: caFile, tlsCertFile: certFile, tlsKeyFile: keyFile } = given;
  return { caFile, certFile, keyFile };
}

/** What no single option can tell. */
function contradictions(
  name: "run" | "cleanup",
  given: GivenOptions,
  options: AgentOptions,
): readonly string[] {
  if (name === "cleanup") return [];
  const problems: string[] = [];
  if (given.controllers.length === 0) {
    problems.push("--controllers is needed: the host:port of at least one twill-controller");
  }
  // As in proto/twill/v1/fabric.proto; the name becomes part of an etcd key.
  if (!/^[A-Za-z0-9._-]{1,253}$/.test(options.node)) {
    problems.push(
      `the node name ${JSON.stringify(options.node.slice(0, 80))} must be 1 to 253 characters of ` +
        "letters, digits, dot, dash and underscore; give --node-name",
    );
  }
  if (given.purge) problems.push("--purge belongs to the command cleanup");
  return [...problems, ...tlsContradictions(given)];
}

function tlsContradictions(given: GivenOptions): readonly string[] {
  const files = [given.tlsCaFile, given.tlsCertFile, given.tlsKeyFile];
  const isGiven = files.some((file) => file !== "");
  if (given.joinTokenFile !== "") {
    return isGiven || given.insecure
      ? ["--join-token-file brings its own certificate: leave out --tls-*-file and --insecure"]
      : [];
  }
  if (given.insecure) {
    return isGiven ? ["--insecure and --tls-*-file contradict each other: leave one out"] : [];
  }
  if (!isGiven) {
    return [
      "the controllers are reached by TLS: give --tls-ca-file (and --tls-cert-file, " +
        "--tls-key-file), --join-token-file, or --insecure in a lab",
    ];
  }
  return (given.tlsCertFile === "") === (given.tlsKeyFile === "")
    ? []
    : ["--tls-cert-file and --tls-key-file come together: one of them is missing"];
}
