/**
 * Every option of twill-agent: flanneld's names and defaults (contract 2.1) and our own.
 * options.ts turns what was given into AgentOptions.
 */
import {
  booleanOption,
  choiceOption,
  integerOption,
  ipOption,
  type Reading,
  repeatableOption,
  textOption,
  value,
  valueOption,
  wrong,
} from "../common/config/option-spec.ts";
import type { OptionTable } from "../common/config/option-table.ts";
import { formatIp, type Ip, parseIp } from "../common/net/ip.ts";
import { CONTROL_OPTIONS } from "./control-options.ts";
import { FLANNEL_ONLY_OPTIONS, KUBE_SUBNET_MGR } from "./flannel-only-options.ts";
import type { GivenOptions, Specs } from "./given-options.ts";

const ANY_IPV4: Ip = { family: 4, value: 0n };

function readIp(text: string): Reading<Ip> {
  const ip = parseIp(text);
  return ip === undefined ? wrong("must be an IP address", text) : value(ip);
}

const HOST = "Interface and addresses";
const hostOptions: Specs<
  "iface" | "ifaceRegex" | "ifaceCanReach" | "publicIp" | "publicIpv6" | "tunnelTxChecksumOff"
> = {
  iface: repeatableOption<string>({
    flag: "iface",
    help: "External interface by name or address. The first that fits, then --iface-regex, then --iface-can-reach; without any of them the interface of the default route.",
    group: HOST,
    placeholder: "NAME|IP",
    parseItem: value,
  }),
  ifaceRegex: repeatableOption<RegExp>({
    flag: "iface-regex",
    help: "Regular expression for the external interface's address, else for its name.",
    group: HOST,
    placeholder: "REGEX",
    parseItem: (text) => {
      try {
        return value(new RegExp(text));
      } catch {
        return wrong("must be a regular expression", text);
      }
    },
  }),
  ifaceCanReach: valueOption<Ip | undefined>({
    flag: "iface-can-reach",
    help: "The external interface is the one by which the kernel reaches this address.",
    group: HOST,
    placeholder: "IP",
    fallback: undefined,
    fallbackText: "",
    parse: readIp,
  }),
  publicIp: ipOption({
    flag: "public-ip",
    help: "IPv4 address that peers reach this node by; the interface's when not given.",
    group: HOST,
    family: 4,
  }),
  publicIpv6: ipOption({
    flag: "public-ipv6",
    help: "IPv6 address that peers reach this node by; the interface's when not given.",
    group: HOST,
    family: 6,
  }),
  tunnelTxChecksumOff: booleanOption({
    flag: "tunnel-tx-checksum-off",
    help: "Keep tx-checksum-ip-generic off on the tunnel device (vxlan, ipip, wireguard): the way out where a network card spoils the checksums of wrapped packets.",
    group: HOST,
    fallback: false,
  }),
};

const RULES = "Packet filter and routes";
const ruleOptions: Specs<
  | "ipMasq"
  | "ipMasqFullyRandomDisable"
  | "iptablesForwardRules"
  | "iptablesResync"
  | "ipBlackholeRoute"
> = {
  ipMasq: booleanOption({
    flag: "ip-masq",
    help: "Masquerade traffic that leaves the overlay network.",
    group: RULES,
    fallback: false,
  }),
  ipMasqFullyRandomDisable: booleanOption({
    flag: "ip-masq-fully-random-disable",
    help: "Masquerade without randomised source ports.",
    group: RULES,
    fallback: false,
  }),
  iptablesForwardRules: booleanOption({
    flag: "iptables-forward-rules",
    help: "Accept forwarded traffic from and to the overlay network.",
    group: RULES,
    fallback: true,
  }),
  iptablesResync: integerOption({
    flag: "iptables-resync",
    help: "Seconds between two checks of the packet filter; it sends no events of its own.",
    group: RULES,
    placeholder: "SECONDS",
    fallback: 5,
    min: 1,
    max: 86_400,
  }),
  ipBlackholeRoute: booleanOption({
    flag: "ip-blackhole-route",
    help: "Keep a blackhole route for this node's subnet, so that packets to dead containers do not leave by the default route.",
    group: RULES,
    fallback: false,
  }),
};

const FILES = "Files and exit";
const fileOptions: Specs<
  | "subnetFile"
  | "cniConfDir"
  | "stateDir"
  | "wireguardKeyFile"
  | "releaseOnExit"
  | "purge"
  | "onSubnetTaken"
> = {
  subnetFile: textOption({
    flag: "subnet-file",
    help: "File that tells containers their subnet and MTU.",
    group: FILES,
    placeholder: "FILE",
    fallback: "/run/flannel/subnet.env",
  }),
  cniConfDir: textOption({
    flag: "cni-conf-dir",
    help: "Folder, usually /etc/cni/net.d, to write 10-twill.conflist into: the plugins bridge, host-local and portmap with what --subnet-file says. Not written when not given; cleanup removes it.",
    group: FILES,
    placeholder: "FOLDER",
    fallback: "",
  }),
  stateDir: textOption({
    flag: "state-dir",
    help: "Folder for what survives a restart: VTEP MACs and the last table. One agent each.",
    group: FILES,
    placeholder: "FOLDER",
    fallback: "/var/lib/twill",
  }),
  wireguardKeyFile: textOption({
    flag: "wireguard-key-file",
    help: "This node's WireGuard key, made when it is missing. A path below --state-dir keeps it over reboots. Also read from WIREGUARD_KEY_FILE, as by flanneld.",
    group: FILES,
    placeholder: "FILE",
    fallback: "/run/flannel/wgkey",
  }),
  releaseOnExit: booleanOption({
    flag: "release-on-exit",
    help: "Give the lease back at SIGTERM instead of keeping the subnet until it expires.",
    group: FILES,
    fallback: false,
  }),
  onSubnetTaken: choiceOption({
    flag: "on-subnet-taken",
    help: "When another node got this node's subnet meanwhile: renumber takes another subnet, hold keeps the data plane and asks on.",
    group: FILES,
    placeholder: "CHOICE",
    fallback: "renumber",
    choices: ["renumber", "hold"],
  }),
  purge: booleanOption({
    flag: "purge",
    help: "Only with cleanup: also remove --subnet-file and what is in --state-dir.",
    group: FILES,
    fallback: false,
  }),
};

const HEALTH = "Health and log";
const healthOptions: Specs<"healthzIp" | "healthzPort" | "logFormat" | "logLevel" | "v"> = {
  healthzIp: valueOption<Ip>({
    flag: "healthz-ip",
    help: "Address that --healthz-port is opened on.",
    group: HEALTH,
    placeholder: "IP",
    fallback: ANY_IPV4,
    fallbackText: formatIp(ANY_IPV4),
    parse: readIp,
  }),
  healthzPort: integerOption({
    flag: "healthz-port",
    help: "Port that /healthz and /readyz are served on; 0: not served.",
    group: HEALTH,
    placeholder: "PORT",
    fallback: 0,
    min: 0,
    max: 65_535,
  }),
  logFormat: choiceOption({
    flag: "log-format",
    help: "json for machines, text for people.",
    group: HEALTH,
    placeholder: "FORMAT",
    fallback: "json",
    choices: ["json", "text"],
  }),
  logLevel: choiceOption({
    flag: "log-level",
    help: "Least important level that is written: error, warn, info or debug.",
    group: HEALTH,
    placeholder: "LEVEL",
    fallback: "info",
    choices: ["error", "warn", "info", "debug"],
  }),
  v: integerOption({
    flag: "v",
    help: "flanneld's verbosity; 1 and above stands for --log-level debug.",
    group: HEALTH,
    placeholder: "N",
    fallback: 0,
    min: 0,
    max: 100,
  }),
};

export const AGENT_OPTION_TABLE: OptionTable<GivenOptions> = {
  program: "twill-agent",
  summary:
    "Joins this machine to the container network: holds a stream to a controller, keeps the kernel equal to the leases, and says what it has applied. SIGTERM leaves the network as it is; cleanup removes everything that Twill made, and only that.",
  options: {
    ...CONTROL_OPTIONS,
    ...hostOptions,
    ...ruleOptions,
    ...fileOptions,
    ...healthOptions,
    kubeSubnetMgr: KUBE_SUBNET_MGR,
  },
  ignored: FLANNEL_ONLY_OPTIONS,
};
