/**
 * flanneld's options that mean nothing to an agent: accepted with a warning that says why, so
 * that flanneld's units and command lines start Twill unchanged, or refused where Twill would
 * do something else than asked.
 */
import { booleanOption, type OptionSpec, value } from "../common/config/option-spec.ts";
import type { IgnoredOption } from "../common/config/option-table.ts";

/** Go's spellings of false. */
const FALSE = /^(0|f|F|FALSE|false|False)$/;

export const KUBE_SUBNET_MGR: OptionSpec<boolean> = {
  ...booleanOption({
    flag: "kube-subnet-mgr",
    help: "Accepted as false only, for flanneld's command lines.",
    group: "From flanneld",
    fallback: false,
  }),
  read: (texts) =>
    FALSE.test(texts.at(-1) ?? "")
      ? value(false)
      : {
          kind: "wrong",
          problem:
            "is not supported: Twill keeps its leases in etcd; for leases in the Kubernetes API run flannel",
        },
};

const OF_CONTROLLER = "it belongs to twill-controller; agents hold no etcd credentials";
const OF_KUBERNETES = "Twill does not use the Kubernetes API";

const ignored = (why: string, ...flags: readonly string[]): readonly IgnoredOption[] =>
  flags.map((flag) => ({ flag, isBoolean: false, why }));

export const FLANNEL_ONLY_OPTIONS: readonly IgnoredOption[] = [
  ...ignored(OF_CONTROLLER, "etcd-endpoints", "etcd-prefix", "etcd-keyfile", "etcd-certfile"),
  ...ignored(OF_CONTROLLER, "etcd-cafile", "etcd-username", "etcd-password"),
  ...ignored("leases are kept alive all the time", "subnet-lease-renew-margin"),
  ...ignored(OF_KUBERNETES, "kube-api-url", "kube-annotation-prefix", "kubeconfig-file"),
  ...ignored(OF_KUBERNETES, "net-config-path"),
  { flag: "set-node-network-unavailable", isBoolean: true, why: OF_KUBERNETES },
  { flag: "use-multi-cluster-cidr", isBoolean: true, why: OF_KUBERNETES },
  ...ignored("use --log-level", "vmodule", "log_backtrace_at"),
];
