/** The choice of the external interface, rule by rule of contract section 5. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type HostListing,
  type InterfaceChoice,
  type InterfaceWish,
  sameChoice,
  selectInterface,
} from "../../../../agent/host/interface-select.ts";
import type { AddressState, LinkState } from "../../../../agent/kernel/kernel.ts";
import { type Family, formatIp, type Ip, parseIp } from "../../../../common/net/ip.ts";

function ip(text: string): Ip {
  const parsed = parseIp(text);
  assert.ok(parsed, text);
  return parsed;
}

function link(index: number, name: string, mtuBytes = 1500): LinkState {
  return {
    index,
    name,
    kind: "",
    up: true,
    running: true,
    mtuBytes,
    mac: undefined,
    lowerIndex: 0,
    vxlan: undefined,
  };
}

function address(device: string, text: string): AddressState {
  return {
    device,
    ip: ip(text),
    prefix: 24,
    scope: "global",
    permanent: true,
    temporary: false,
    deprecated: false,
  };
}

const NOTHING: InterfaceWish = {
  ifaces: [],
  regexes: [],
  canReach: undefined,
  publicIp: undefined,
  publicIpv6: undefined,
};

const MACHINE: HostListing = {
  links: [link(1, "lo", 65536), link(2, "eth0"), link(3, "eth1", 9000), link(4, "wan0")],
  addresses: [
    address("lo", "127.0.0.1"),
    address("eth0", "192.168.7.5"),
    address("eth0", "fd07::5"),
    address("eth1", "10.9.0.5"),
    address("eth1", "10.9.0.6"),
    address("wan0", "fd09::5"),
  ],
  defaultDevice: { v4: "eth0", v6: "eth0" },
  reach: undefined,
};

function choose(
  wish: Partial<InterfaceWish>,
  families: readonly Family[] = [4],
  machine: Partial<HostListing> = {},
): InterfaceChoice {
  return selectInterface({ ...NOTHING, ...wish }, families, { ...MACHINE, ...machine });
}

/** "eth0 192.168.7.5 fd07::5 public 1.2.3.4 -" or the refusal. */
function text(choice: InterfaceChoice): string {
  if (choice.kind === "none") return choice.message;
  const show = (address: Ip | undefined): string => (address ? formatIp(address) : "-");
  const { external } = choice;
  const chosen = `${external.name} ${show(external.v4)} ${show(external.v6)}`;
  return `${chosen} public ${show(choice.publicIp)} ${show(choice.publicIpv6)}`;
}

describe("without any option", () => {
  it("the interface of the default route is taken", () => {
    assert.equal(text(choose({})), "eth0 192.168.7.5 - public 192.168.7.5 -");
    assert.equal(text(choose({}, [6])), "eth0 - fd07::5 public - fd07::5");
    assert.equal(text(choose({}, [4, 6])), "eth0 192.168.7.5 fd07::5 public 192.168.7.5 fd07::5");
  });

  it("a machine without a default route is told so", () => {
    const none = choose({}, [4], { defaultDevice: { v4: undefined, v6: undefined } });
    assert.equal(text(none), "the default route: there is no IPv4 default route");
  });

  it("a default route over several next hops is told so", () => {
    const several = choose({}, [4], { defaultDevice: { v4: "", v6: undefined } });
    assert.match(text(several), /several next hops/);
  });

  it("dual stack needs one interface for both default routes", () => {
    const split = choose({}, [4, 6], { defaultDevice: { v4: "eth0", v6: "wan0" } });
    assert.match(text(split), /IPv4 leaves by eth0 and IPv6 by wan0/);
  });
});

describe("--iface", () => {
  it("takes a name, then the interface's preferred address", () => {
    assert.equal(text(choose({ ifaces: ["eth1"] })), "eth1 10.9.0.5 - public 10.9.0.5 -");
  });

  it("takes an address, which then is the interface address", () => {
    assert.equal(text(choose({ ifaces: ["10.9.0.6"] })), "eth1 10.9.0.6 - public 10.9.0.6 -");
    assert.equal(text(choose({ ifaces: ["fd07:0::5"] }, [6])), "eth0 - fd07::5 public - fd07::5");
  });

  it("is tried in order, then regexes, then can-reach; the first success wins", () => {
    const wish = { ifaces: ["nope", "eth1"], regexes: [/eth0/], canReach: ip("8.8.8.8") };
    assert.match(text(choose(wish)), /^eth1 /);
    const later = { ...wish, ifaces: ["nope"] };
    assert.match(text(choose(later)), /^eth0 /);
    const reach = { device: "eth1", gateway: undefined, source: ip("10.9.0.6") };
    assert.match(
      text(choose({ ...later, regexes: [/zzz/] }, [4], { reach })),
      /^eth1 10\.9\.0\.6 /,
    );
  });

  it("names every attempt that failed and never falls back to the default route", () => {
    const none = choose({ ifaces: ["nope", "1.2.3.4"], regexes: [/zzz/] });
    assert.equal(
      text(none),
      "--iface nope: there is no interface named nope; " +
        "--iface 1.2.3.4: no interface of this machine holds the address; " +
        "--iface-regex zzz: no address and no interface name matches",
    );
  });

  it("goes on when the interface lacks a family the network has, or an MTU", () => {
    assert.match(text(choose({ ifaces: ["eth1"] }, [4, 6])), /eth1 has no usable IPv6 address/);
    const odd = choose({ ifaces: ["eth0"] }, [4], { links: [link(2, "eth0", 0)] });
    assert.match(text(odd), /eth0 has no MTU/);
  });
});

describe("--iface-regex", () => {
  it("matches addresses before names, unanchored, in index order", () => {
    assert.match(text(choose({ regexes: [/9\.0\.6/] })), /^eth1 10\.9\.0\.6 /);
    assert.match(text(choose({ regexes: [/th1/] })), /^eth1 10\.9\.0\.5 /);
  });

  it("needs a match of both families for dual stack, else it looks at names", () => {
    assert.match(
      text(choose({ regexes: [/192\.168|fd07/] }, [4, 6])),
      /^eth0 192\.168\.7\.5 fd07::5 /,
    );
    assert.match(text(choose({ regexes: [/^10\.9/] }, [4, 6])), /no address and no interface name/);
  });
});

describe("--iface-can-reach", () => {
  it("takes the interface and the source address of the route", () => {
    const reach = { device: "eth1", gateway: undefined, source: ip("10.9.0.6") };
    const choice = choose({ canReach: ip("10.9.0.200") }, [4], { reach });
    assert.equal(text(choice), "eth1 10.9.0.6 - public 10.9.0.6 -");
  });

  it("says when nothing leads there", () => {
    const choice = choose({ canReach: ip("10.9.0.200") });
    assert.equal(text(choice), "--iface-can-reach 10.9.0.200: no route leads to 10.9.0.200");
  });
});

describe("--public-ip", () => {
  it("alone stands for --iface, so it must be on an interface", () => {
    assert.equal(text(choose({ publicIp: ip("10.9.0.6") })), "eth1 10.9.0.6 - public 10.9.0.6 -");
    assert.match(text(choose({ publicIp: ip("1.2.3.4") })), /--public-ip 1\.2\.3\.4: .*behind NAT/);
    assert.match(text(choose({ publicIpv6: ip("fd09::5") }, [6])), /^wan0 /);
  });

  it("is advertised as it stands when the interface is chosen otherwise", () => {
    const wish = { ifaces: ["eth0"], publicIp: ip("1.2.3.4") };
    assert.equal(text(choose(wish)), "eth0 192.168.7.5 - public 1.2.3.4 -");
  });

  it("of a family the network does not have is left out", () => {
    assert.equal(
      text(choose({ publicIpv6: ip("fd09::5") })),
      "eth0 192.168.7.5 - public 192.168.7.5 -",
    );
  });
});

describe("two choices", () => {
  it("are the same until something that peers or the kernel see has changed", () => {
    assert.ok(sameChoice(choose({}), choose({ ifaces: ["eth0"] })));
    assert.ok(!sameChoice(choose({}), choose({ publicIp: ip("1.2.3.4"), ifaces: ["eth0"] })));
    assert.ok(!sameChoice(choose({}), choose({}, [4], { links: [link(2, "eth0", 1400)] })));
    assert.ok(!sameChoice(choose({}), choose({ ifaces: ["nope"] })));
  });
});
