/**
 * The command line of twill-controller, compiled once: complete, compared and parsed
 * options, or all that is wrong with what was given. Pure; main.ts passes argv, environment
 * and the host's name.
 */

import { renderHelp, renderMarkdown } from "../common/config/option-help.ts";
import { renderMan } from "../common/config/option-man.ts";
import { type Environment, type GivenOption, parseOptions } from "../common/config/option-table.ts";
import { TwillError } from "../common/errors.ts";
import type { Level } from "../common/events.ts";
import { isName } from "../common/identity/identity.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../common/net/host-port.ts";
import { isLoopback } from "./console/access.ts";
import type { LeasePolicy } from "./lease/decide.ts";
import { CONTROLLER_MAN_PAGE } from "./man-page.ts";
import { CONTROLLER_OPTION_TABLE, type GivenOptions } from "./option-table.ts";
import { type EtcdOptions, parseEtcdOptions } from "./store/etcd-options.ts";
import type { StormLimits } from "./view/expiry-storm.ts";

export interface ServerTlsFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Empty: nothing is revoked. */
  readonly crlFile: string;
}

/** Where and with what machines are made nodes. */
export interface EnrolOptions {
  readonly listen: HostPort;
  /** "host:port" that tokens name. */
  readonly address: string;
  readonly caKeyFile: string;
  /** Of the certificates given out. */
  readonly ttlMs: number;
}

export interface ControllerOptions {
  readonly etcd: EtcdOptions;
  readonly listen: HostPort;
  /** "host:port" by which others reach this replica; its identity for people. */
  readonly address: string;
  readonly name: string;
  /** undefined: plaintext, asked for by --insecure. */
  readonly tls: ServerTlsFiles | undefined;
  /** undefined: this replica gives out no certificates. */
  readonly enrol: EnrolOptions | undefined;
  /** Whether revoking a connected node's certificate gives its lease back. */
  readonly revokeWithdrawsLease: boolean;
  /** Where the console is served; undefined: nowhere. */
  readonly console: HostPort | undefined;
  readonly leaseTtlSeconds: number;
  readonly policy: LeasePolicy;
  readonly storm: StormLimits;
  /** 0: never. */
  readonly nudgeIntervalMs: number;
  readonly leaderTtlSeconds: number;
  /** Entries of the journal that are kept. */
  readonly journalLength: number;
  /** undefined: not served. */
  readonly healthz: HostPort | undefined;
  readonly logFormat: "auto" | "json" | "text";
  readonly logLevel: Level;
}

export type ControllerCommand =
  | {
      readonly kind: "run";
      readonly options: ControllerOptions;
      readonly given: readonly GivenOption[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

/** `argv` without interpreter and script. */
export function parseControllerCommand(
  argv: readonly string[],
  env: Environment,
  hostName: string,
): ControllerCommand {
  if (argv[0] === "version") return { kind: "version" };
  if (argv[0] === "help") return help(argv[1]);
  const parsed = parseOptions(argv, env, CONTROLLER_OPTION_TABLE);
  switch (parsed.kind) {
    case "help":
      return help();
    case "version":
    case "invalid":
      return parsed;
    case "options": {
      const { values, given, warnings } = parsed;
      const problems = contradictions(values, hostName);
      const etcd = readEtcd(values, problems);
      if (etcd === undefined || problems.length > 0) return { kind: "invalid", problems };
      return { kind: "run", options: compile(values, etcd, hostName), given, warnings };
    }
  }
}

/** The forms are for scripts/gen-docs and scripts/package, and not in the help themselves. */
function help(form = ""): ControllerCommand {
  switch (form) {
    case "--markdown":
      return { kind: "help", text: renderMarkdown(CONTROLLER_OPTION_TABLE) };
    case "--man":
      return { kind: "help", text: renderMan(CONTROLLER_OPTION_TABLE, CONTROLLER_MAN_PAGE) };
    default: {
      const { usage } = CONTROLLER_MAN_PAGE;
      return { kind: "help", text: renderHelp(CONTROLLER_OPTION_TABLE, usage) };
    }
  }
}

function compile(given: GivenOptions, etcd: EtcdOptions, hostName: string): ControllerOptions {
  const { tlsCaFile: caFile, tlsCertFile: certFile, tlsKeyFile: keyFile } = given;
  const { tlsCrlFile: crlFile, revokeWithdrawsLease } = given;
  return {
    etcd,
    listen: given.listen,
    address: advertised(given, hostName),
    name: given.name === "" ? hostName : given.name,
    tls: given.insecure ? undefined : { caFile, certFile, keyFile, crlFile },
    revokeWithdrawsLease,
    console: given.consoleListen,
    enrol: enrolOptions(given, hostName),
    policy: { ipv6BesideFlannel: given.ipv6BesideFlannel },
    nudgeIntervalMs: given.nudgeInterval,
    storm: { percent: given.expiryStormPercent, atLeast: given.expiryStormLeases },
    leaseTtlSeconds: Math.round(given.subnetLeaseTtl / 1000),
    leaderTtlSeconds: Math.round(given.leaderTtl / 1000),
    journalLength: given.journalLength,
    healthz:
      given.healthzPort === 0 ? undefined : { host: given.healthzIp, port: given.healthzPort },
    logFormat: given.logFormat,
    logLevel: given.logLevel,
  };
}

function enrolOptions(given: GivenOptions, hostName: string): EnrolOptions | undefined {
  const { enrolListen: listen, enrolCaKeyFile: caKeyFile, nodeCertificateTtl: ttlMs } = given;
  if (listen === undefined) return undefined;
  const host = parseHostPort(advertised(given, hostName))?.host ?? hostName;
  return { listen, caKeyFile, ttlMs, address: formatHostPort({ host, port: listen.port }) };
}

function readEtcd(given: GivenOptions, problems: string[]): EtcdOptions | undefined {
  try {
    return parseEtcdOptions({
      endpoints: given.etcdEndpoints,
      prefix: given.etcdPrefix,
      caFile: given.etcdCafile,
      certFile: given.etcdCertfile,
      keyFile: given.etcdKeyfile,
      username: given.etcdUsername,
      password: given.etcdPassword,
    });
  } catch (error) {
    problems.push(TwillError.from(error).message);
    return undefined;
  }
}

/** What no single option can tell. */
function contradictions(given: GivenOptions, hostName: string): string[] {
  const problems: string[] = [];
  const name = given.name === "" ? hostName : given.name;
  if (!isName(name)) {
    problems.push(
      `--name ${JSON.stringify(name.slice(0, 80))}: letters, digits, dot, dash, underscore`,
    );
  }
  const files = [given.tlsCaFile, given.tlsCertFile, given.tlsKeyFile];
  if (given.insecure && [...files, given.tlsCrlFile].some((file) => file !== "")) {
    problems.push("--insecure and --tls-*-file contradict each other: leave one out");
  }
  const { consoleListen } = given;
  if (given.insecure && consoleListen !== undefined && !isLoopback(consoleListen.host)) {
    problems.push(
      `--console-listen ${formatHostPort(consoleListen)}: without certificates the console is served ` +
        "on a loopback address only (127.0.0.1, ::1); reach it by ssh -L, or give the --tls-*-file options",
    );
  }
  if ((given.enrolListen === undefined) !== (given.enrolCaKeyFile === "")) {
    problems.push("--enrol-listen and --enrol-ca-key-file come together: one of them is missing");
  }
  if (given.insecure && given.enrolListen !== undefined) {
    problems.push(
      "--insecure and --enrol-listen contradict each other: there is no CA to sign with",
    );
  }
  if (!given.insecure && files.some((file) => file === "")) {
    problems.push(
      "agents connect by mutual TLS: give --tls-ca-file, --tls-cert-file and --tls-key-file " +
        "(twillctl pki makes them), or --insecure in a lab",
    );
  }
  return problems;
}

/** "host:port" of what is advertised, from what was given. */
function advertised(given: GivenOptions, hostName: string): string {
  const host =
    given.listen.host === "0.0.0.0" || given.listen.host === "::" || given.listen.host === ""
      ? hostName
      : given.listen.host;
  return formatHostPort(given.advertiseAddress ?? { host, port: given.listen.port });
}
