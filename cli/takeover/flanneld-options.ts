/**
 * flanneld's command line and environment (contract 2.1, 2.2) as what Twill needs instead: lines
 * for /etc/twill/agent.env, the options that are the controllers' business, and what stands in the
 * way. Pure.
 */
import { readCommandLine, type Shape } from "../../common/config/command-line.ts";
import type { Finding } from "../cluster/ipam-check.ts";

/** Of a running flanneld. */
export interface FlanneldProcess {
  readonly pid: number;
  /** Without the program. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface FlanneldOptions {
  /** "TWILL_IFACE=eth1" */
  readonly agentEnv: readonly string[];
  /** "--etcd-prefix /net": the controllers must have the same. */
  readonly ofControllers: readonly string[];
  readonly subnetFile: string;
  readonly findings: readonly Finding[];
}

/** Kept with the same name and meaning. */
const KEPT = [
  ...["iface", "iface-regex", "iface-can-reach", "public-ip", "public-ipv6", "subnet-file"],
  ...["ip-masq", "ip-masq-fully-random-disable", "iptables-forward-rules", "iptables-resync"],
  ...["ip-blackhole-route", "healthz-ip", "healthz-port"],
];
const OF_CONTROLLERS = [
  ...["etcd-endpoints", "etcd-prefix", "etcd-cafile", "etcd-certfile", "etcd-keyfile"],
  ...["etcd-username", "etcd-password"],
];
const WITHOUT_EFFECT = [
  ...["subnet-lease-renew-margin", "kube-api-url", "kube-annotation-prefix", "kubeconfig-file"],
  ...["net-config-path", "v", "vmodule", "log_backtrace_at", "log_dir", "stderrthreshold"],
];
const BOOLEANS = [
  ...["ip-masq", "ip-masq-fully-random-disable", "iptables-forward-rules", "ip-blackhole-route"],
  ...["kube-subnet-mgr", "set-node-network-unavailable", "use-multi-cluster-cidr"],
  ...["logtostderr", "alsologtostderr"],
];
const SHAPES: ReadonlyMap<string, Shape> = new Map(
  [...KEPT, ...OF_CONTROLLERS, ...WITHOUT_EFFECT, ...BOOLEANS].map((flag) => [
    flag,
    { flag, isBoolean: BOOLEANS.includes(flag) },
  ]),
);
export const DEFAULT_SUBNET_FILE = "/run/flannel/subnet.env";

export function readFlanneldOptions({ argv, env }: FlanneldProcess): FlanneldOptions {
  const { texts, problems } = readCommandLine(argv, SHAPES);
  const given = (flag: string): readonly string[] => {
    const variable = env[`FLANNELD_${flag.replaceAll("-", "_").toUpperCase()}`] ?? "";
    return texts.get(flag) ?? (variable === "" ? [] : [variable]);
  };
  return {
    agentEnv: KEPT.flatMap((flag) => {
      const value = given(flag).at(-1);
      return value === undefined
        ? []
        : [`TWILL_${flag.replaceAll("-", "_").toUpperCase()}=${value}`];
    }),
    ofControllers: OF_CONTROLLERS.flatMap((flag) =>
      given(flag).map((value) => `--${flag} ${flag === "etcd-password" ? "(as it is)" : value}`),
    ),
    subnetFile: given("subnet-file").at(-1) ?? DEFAULT_SUBNET_FILE,
    findings: [
      ...problems.map((message) => ({ code: "OPTION_UNKNOWN", message: `flanneld: ${message}` })),
      ...kubernetes(given("kube-subnet-mgr").at(-1)),
      ...repeated("iface", given("iface")),
      ...repeated("iface-regex", given("iface-regex")),
    ],
  };
}

function kubernetes(value: string | undefined): Finding[] {
  if (value === undefined || /^(0|f|false)$/i.test(value)) return [];
  const message = "flanneld keeps its leases in the Kubernetes API; Twill keeps them in etcd";
  return [{ code: "KUBERNETES", message }];
}

/** A variable holds one value. */
function repeated(flag: string, values: readonly string[]): Finding[] {
  if (values.length < 2) return [];
  const options = values.map((value) => `--${flag}=${value}`).join(" ");
  const message = `flanneld has several --${flag}; put them on twill-agent's command line: ${options}`;
  return [{ code: "OPTION_REPEATED", message }];
}
