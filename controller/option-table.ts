/**
 * Every option of twill-controller: flanneld's etcd options (contract 2.1) and our own.
 * options.ts turns what was given into ControllerOptions.
 */
import {
  booleanOption,
  choiceOption,
  durationOption,
  integerOption,
  type OptionSpec,
  textOption,
  valueOption,
} from "../common/config/option-spec.ts";
import type { OptionTable } from "../common/config/option-table.ts";
import { readHostPort } from "../common/config/read-host-port.ts";
import type { Level } from "../common/events.ts";
import type { HostPort } from "../common/net/host-port.ts";
import { consoleListenOption } from "./console/listen-option.ts";
import { ENROL_OPTIONS, type EnrolGiven } from "./enrol-options.ts";
import { DEFAULT_ETCD_OPTIONS } from "./store/etcd-options.ts";
import { DEFAULT_STORM_LIMITS } from "./view/expiry-storm.ts";

/** What was given, or the defaults; nothing is compared with anything else yet. */
export interface GivenOptions extends EnrolGiven {
  readonly etcdEndpoints: string;
  readonly etcdPrefix: string;
  readonly etcdCafile: string;
  readonly etcdCertfile: string;
  readonly etcdKeyfile: string;
  readonly etcdUsername: string;
  readonly etcdPassword: string;
  readonly listen: HostPort;
  readonly advertiseAddress: HostPort | undefined;
  readonly name: string;
  readonly tlsCaFile: string;
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
  readonly tlsCrlFile: string;
  readonly revokeWithdrawsLease: boolean;
  readonly insecure: boolean;
  readonly consoleListen: HostPort | undefined;
  readonly subnetLeaseTtl: number;
  readonly leaderTtl: number;
  readonly journalLength: number;
  readonly nudgeInterval: number;
  readonly expiryStormPercent: number;
  readonly expiryStormLeases: number;
  readonly ipv6BesideFlannel: boolean;
  readonly healthzIp: string;
  readonly healthzPort: number;
  readonly logFormat: "auto" | "json" | "text";
  readonly logLevel: Level;
}

type Specs<K extends keyof GivenOptions> = { readonly [P in K]: OptionSpec<GivenOptions[P]> };

const ETCD = "etcd";
type EtcdNames =
  | "etcdEndpoints"
  | "etcdPrefix"
  | "etcdCafile"
  | "etcdCertfile"
  | "etcdKeyfile"
  | "etcdUsername"
  | "etcdPassword";

const etcdOptions: Specs<EtcdNames> = {
  etcdEndpoints: textOption({
    flag: "etcd-endpoints",
    help: "etcd members, separated by commas.",
    group: ETCD,
    placeholder: "URL,...",
    fallback: DEFAULT_ETCD_OPTIONS.endpoints,
  }),
  etcdPrefix: textOption({
    flag: "etcd-prefix",
    help: "Where the network lives in etcd; shared with real flannel nodes.",
    group: ETCD,
    placeholder: "PREFIX",
    fallback: DEFAULT_ETCD_OPTIONS.prefix,
  }),
  etcdCafile: etcdFile(
    "etcd-cafile",
    "CA that signed etcd's certificates; alone it is enough for TLS.",
  ),
  etcdCertfile: etcdFile("etcd-certfile", "Client certificate for etcd."),
  etcdKeyfile: etcdFile("etcd-keyfile", "Key of the client certificate."),
  etcdUsername: textOption({
    flag: "etcd-username",
    help: "etcd user; needs only the prefix's keys (docs/security.md).",
    group: ETCD,
    placeholder: "NAME",
    fallback: "",
  }),
  etcdPassword: textOption({
    flag: "etcd-password",
    help: "Its password; better given as TWILL_ETCD_PASSWORD.",
    group: ETCD,
    placeholder: "PASSWORD",
    fallback: "",
    isSecret: true,
  }),
};

function etcdFile(flag: string, help: string): OptionSpec<string> {
  return textOption({ flag, help, group: ETCD, placeholder: "FILE", fallback: "" });
}

const SERVE = "Agents and other controllers";
type ServeNames =
  | "listen"
  | "advertiseAddress"
  | "name"
  | "tlsCaFile"
  | "tlsCertFile"
  | "tlsKeyFile"
  | "tlsCrlFile"
  | "revokeWithdrawsLease"
  | "insecure";

const serveOptions: Specs<ServeNames> = {
  listen: valueOption<HostPort>({
    flag: "listen",
    help: "Where agents, operators and other controllers connect.",
    group: SERVE,
    placeholder: "HOST:PORT",
    fallback: { host: "0.0.0.0", port: 7474 },
    fallbackText: "0.0.0.0:7474",
    parse: (text) => readHostPort(text),
  }),
  advertiseAddress: valueOption<HostPort | undefined>({
    flag: "advertise-address",
    help: "Address by which other controllers and twillctl reach this one; the host's name and the port of --listen when not given.",
    group: SERVE,
    placeholder: "HOST:PORT",
    fallback: undefined,
    fallbackText: "",
    parse: (text) => readHostPort(text, ["host", "port"]),
  }),
  name: textOption({
    flag: "name",
    help: "This replica's name in the election; the host's name when not given.",
    group: SERVE,
    placeholder: "NAME",
    fallback: "",
  }),
  tlsCaFile: serveFile(
    "tls-ca-file",
    "PEM file of the CA that signs agents, operators and controllers; of several, while one replaces another. Read again at SIGHUP and when it changes, as the three files below.",
  ),
  tlsCertFile: serveFile("tls-cert-file", "PEM file of this controller's certificate."),
  tlsKeyFile: serveFile("tls-key-file", "PEM file of that certificate's key."),
  tlsCrlFile: serveFile(
    "tls-crl-file",
    "PEM file of revocation lists; connections whose certificate it names are refused and ended.",
  ),
  revokeWithdrawsLease: booleanOption({
    flag: "revoke-withdraws-lease",
    help: "When a connected node's certificate is revoked, give its lease back at once; otherwise it stays until it expires.",
    group: SERVE,
    fallback: false,
  }),
  insecure: booleanOption({
    flag: "insecure",
    help: "Serve in plaintext to anybody who can connect. For labs.",
    group: SERVE,
    fallback: false,
  }),
};

function serveFile(flag: string, help: string): OptionSpec<string> {
  return textOption({ flag, help, group: SERVE, placeholder: "FILE", fallback: "" });
}

const LEASES = "Leases and leadership";
type LeaseNames =
  | "subnetLeaseTtl"
  | "leaderTtl"
  | "ipv6BesideFlannel"
  | "expiryStormPercent"
  | "expiryStormLeases"
  | "journalLength"
  | "nudgeInterval";

const leaseOptions: Specs<LeaseNames> = {
  expiryStormPercent: integerOption({
    flag: "expiry-storm-percent",
    help: "When so many percent of all leases end within 10 s, nodes keep their routes until etcd has confirmed it; 0: never.",
    group: LEASES,
    placeholder: "PERCENT",
    fallback: DEFAULT_STORM_LIMITS.percent,
    min: 0,
    max: 100,
  }),
  expiryStormLeases: integerOption({
    flag: "expiry-storm-leases",
    help: "Fewer leases than these are no storm, whatever their share.",
    group: LEASES,
    placeholder: "COUNT",
    fallback: DEFAULT_STORM_LIMITS.atLeast,
    min: 1,
    max: 1_000_000,
  }),
  journalLength: integerOption({
    flag: "journal-length",
    help: "Changes of config and leases that etcd remembers for twillctl history; about 1 KiB each.",
    group: LEASES,
    placeholder: "N",
    fallback: 5000,
    min: 100,
    max: 100_000,
  }),
  nudgeInterval: durationOption({
    flag: "nudge-interval",
    help: "Put every lease of a Twill node again, as it is, once in this time, so that real flannel nodes up to v0.20 that lost watch events hear of it; 0s: never.",
    group: LEASES,
    fallback: "0s",
    minMs: 0,
    maxMs: 7 * 86_400_000,
  }),
  ipv6BesideFlannel: booleanOption({
    flag: "ipv6-beside-flannel",
    help: "Give out IPv6 subnets although real flannel nodes run without IPv6. Such a node takes no change any more once it reads one.",
    group: LEASES,
    fallback: false,
  }),
  subnetLeaseTtl: durationOption({
    flag: "subnet-lease-ttl",
    help: "How long a node's lease outlives its last contact; flannel's is 24h.",
    group: LEASES,
    fallback: "24h",
    minMs: 10_000,
    maxMs: 365 * 86_400_000,
  }),
  leaderTtl: durationOption({
    flag: "leader-ttl",
    help: "How long a dead leader is waited for. Below 10s a hung etcd member can cost the leadership.",
    group: LEASES,
    fallback: "10s",
    minMs: 2_000,
    maxMs: 120_000,
  }),
};

const OBSERVE = "Health and log";
const observeOptions: Specs<"healthzIp" | "healthzPort" | "logFormat" | "logLevel"> = {
  healthzIp: textOption({
    flag: "healthz-ip",
    help: "Address of the health server.",
    group: OBSERVE,
    placeholder: "IP",
    fallback: "0.0.0.0",
  }),
  healthzPort: integerOption({
    flag: "healthz-port",
    help: "Port of the health server; 0: off.",
    group: OBSERVE,
    placeholder: "PORT",
    fallback: 0,
    min: 0,
    max: 65_535,
  }),
  logFormat: choiceOption<GivenOptions["logFormat"]>({
    flag: "log-format",
    help: "JSON lines or text; auto: text on a terminal.",
    group: OBSERVE,
    placeholder: "FORMAT",
    fallback: "auto",
    choices: ["auto", "json", "text"],
  }),
  logLevel: choiceOption<Level>({
    flag: "log-level",
    help: "Least important events that are written.",
    group: OBSERVE,
    placeholder: "LEVEL",
    fallback: "info",
    choices: ["error", "warn", "info", "debug"],
  }),
};

export const CONTROLLER_OPTION_TABLE: OptionTable<GivenOptions> = {
  program: "twill-controller",
  summary:
    "Gives out the leases of a container network in etcd and tells every node's agent of them. Run one, three or five; one leads, all serve.",
  options: {
    ...etcdOptions,
    ...serveOptions,
    consoleListen: consoleListenOption,
    ...ENROL_OPTIONS,
    ...leaseOptions,
    ...observeOptions,
  },
  ignored: [],
};
