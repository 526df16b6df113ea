/**
 * Twenty and more ways to break the path from node1 to node2, each with what undoes it and the
 * codes by which it is named right. Two nodes of a vxlan lab, agents stopped.
 */
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { LeaseRow } from "../../scripts/testbed/registry.ts";

export interface PathFault {
  readonly name: string;
  /** Any of them as the first finding names it right. */
  readonly codes: readonly string[];
  readonly at: "node1" | "node2";
  /** Shell words on that node; `break` before the question, `mend` after it. */
  readonly break: string;
  readonly mend: string;
}

/** Done at the switch, not on a node. */
export interface SwitchFault {
  readonly name: string;
  readonly codes: readonly string[];
  readonly break: (lab: Lab) => Promise<void>;
  readonly mend: (lab: Lab) => Promise<void>;
}

export interface PathPair {
  /** Leases of the two nodes. */
  readonly one: LeaseRow;
  readonly two: LeaseRow;
}

const WRONG_MAC = "02:00:00:00:00:99";

export function pathFaults({ one, two }: PathPair): PathFault[] {
  const vtep = (lease: LeaseRow): string => lease.subnet.replace(/\/\d+$/, "");
  const route = (lease: LeaseRow): string =>
    `ip route replace ${lease.subnet} via ${vtep(lease)} dev flannel.1 onlink`;
  const arp = `ip neigh replace ${vtep(two)} lladdr ${two.vtepMac} dev flannel.1 nud permanent`;
  const fdb = `bridge fdb replace ${two.vtepMac} dev flannel.1 dst ${two.publicIp}`;
  const all = `${arp}; ${fdb}; ${route(two)}`;
  const node1 = (name: string, codes: readonly string[], broken: string, mend: string) =>
    ({ name, codes, at: "node1", break: broken, mend }) as const;
  const node2 = (name: string, codes: readonly string[], broken: string, mend: string) =>
    ({ name, codes, at: "node2", break: broken, mend }) as const;
  const half = two.subnet.replace("/24", "/25");
  const drop = (hook: string, rule: string, policy = "accept"): string =>
    `nft 'add table inet t; add chain inet t c { type filter hook ${hook} priority 0; policy ${policy}; }; ${rule === "" ? "" : `add rule inet t c ${rule}`}'`;
  const allow = "nft delete table inet t";
  return [
    node1("missing route", ["ROUTE_MISSING"], `ip route del ${two.subnet}`, route(two)),
    node1(
      "blackhole route",
      ["ROUTE_BLACKHOLE"],
      `ip route replace blackhole ${two.subnet}`,
      `ip route del blackhole ${two.subnet}; ${route(two)}`,
    ),
    node1(
      "wrong metric",
      ["ROUTE_METRIC"],
      `ip route add ${two.subnet} via ${vtep(two)} dev flannel.1 onlink metric 500; ip route del ${two.subnet} metric 0; ip route add ${two.subnet} via ${two.publicIp} dev eth0 metric 100`,
      `ip route del ${two.subnet} metric 100; ip route del ${two.subnet} metric 500; ${route(two)}`,
    ),
    node1(
      "route by another device",
      ["ROUTE_WRONG"],
      `ip route replace ${two.subnet} via ${two.publicIp} dev eth0`,
      route(two),
    ),
    node1(
      "more specific route",
      ["ROUTE_HIJACKED"],
      `ip route add ${half} via ${two.publicIp} dev eth0`,
      `ip route del ${half}`,
    ),
    node1(
      "policy rule",
      ["RULE_DIVERTS"],
      `ip rule add to ${two.subnet} lookup 77; ip route add ${two.subnet} via ${two.publicIp} dev eth0 table 77`,
      `ip rule del to ${two.subnet} lookup 77; ip route flush table 77`,
    ),
    node1("missing ARP", ["ARP_MISSING"], `ip neigh del ${vtep(two)} dev flannel.1`, arp),
    node1(
      "stale ARP",
      ["ARP_STALE"],
      `ip neigh replace ${vtep(two)} lladdr ${WRONG_MAC} dev flannel.1 nud permanent`,
      arp,
    ),
    node1("missing FDB", ["FDB_MISSING"], `bridge fdb del ${two.vtepMac} dev flannel.1`, fdb),
    node1(
      "wrong FDB",
      ["FDB_WRONG"],
      `bridge fdb replace ${two.vtepMac} dev flannel.1 dst 10.99.0.200`,
      fdb,
    ),
    node1(
      "tunnel device down",
      ["DEVICE_DOWN"],
      "ip link set flannel.1 down",
      `ip link set flannel.1 up; ${all}`,
    ),
    node2(
      "VTEP MAC changed",
      ["VTEP_MAC_CHANGED"],
      `ip link set flannel.1 address ${WRONG_MAC}`,
      `ip link set flannel.1 address ${two.vtepMac}; ip neigh replace ${vtep(one)} lladdr ${one.vtepMac} dev flannel.1 nud permanent; bridge fdb replace ${one.vtepMac} dev flannel.1 dst ${one.publicIp}; ${route(one)}`,
    ),
    node1(
      "underlay MTU too small",
      ["MTU_TOO_LARGE"],
      "ip link set eth0 mtu 1400",
      "ip link set eth0 mtu 1500",
    ),
    node1(
      "underlay stale ARP",
      ["UNDERLAY_ARP_STALE"],
      `ip neigh replace ${two.publicIp} lladdr ${WRONG_MAC} dev eth0 nud permanent`,
      `ip neigh del ${two.publicIp} dev eth0`,
    ),
    node1(
      "no way to the machine",
      ["UNDERLAY_NO_ROUTE"],
      `ip route add unreachable ${two.publicIp}/32`,
      `ip route del unreachable ${two.publicIp}/32`,
    ),
    node2(
      "rp_filter",
      ["RP_FILTER"],
      `sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.flannel/1.rp_filter=1; ip route replace ${one.subnet} via ${one.publicIp} dev eth0`,
      `sysctl -qw net.ipv4.conf.flannel/1.rp_filter=0; ${route(one)}`,
    ),
    node2(
      "forwarding off",
      ["FORWARDING_OFF"],
      "sysctl -qw net.ipv4.ip_forward=0",
      "sysctl -qw net.ipv4.ip_forward=1",
    ),
    node2("FORWARD policy drop", ["FILTER_DROPS"], drop("forward", "", "drop"), allow),
    node2(
      "firewall drops the UDP port",
      ["FILTER_DROPS"],
      drop("input", "udp dport 8472 drop"),
      allow,
    ),
    node2(
      "container gone",
      ["CONTAINER_ABSENT", "CONTAINER_NO_ROUTE"],
      "ip -n pod1 link set eth0 down",
      "ip -n pod1 link set eth0 up",
    ),
  ];
}

export const SWITCH_FAULTS: readonly SwitchFault[] = [
  {
    name: "UDP port dropped on the way",
    codes: ["TUNNEL_DROPPED"],
    break: (lab) => lab.underlay.drop("udp dport 8472"),
    mend: (lab) => lab.underlay.healAll(),
  },
  {
    name: "MTU black hole",
    codes: ["MTU_BLACK_HOLE"],
    break: (lab) => lab.underlay.drop("meta length > 1400"),
    mend: (lab) => lab.underlay.healAll(),
  },
  {
    name: "machines cut off",
    codes: ["UNDERLAY_DOWN", "UNDERLAY_NO_ARP"],
    break: (lab) => lab.cut("node1", "node2"),
    mend: (lab) => lab.underlay.healAll(),
  },
  {
    name: "NIC without carrier",
    codes: ["NIC_DOWN"],
    break: (lab) => lab.underlay.setCable(lab.machine("node2"), false),
    mend: (lab) => lab.underlay.setCable(lab.machine("node2"), true),
  },
];
