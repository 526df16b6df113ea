/** The network config as contract 1.8 says: defaults, refusals, and no text that hurts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import type { NetworkConfig, SubnetRange } from "../../../../common/config/network-config.ts";
import {
  MAX_CONFIG_LENGTH,
  parseNetworkConfig,
} from "../../../../common/config/parse-network-config.ts";
import { formatCidr } from "../../../../common/net/cidr.ts";
import { formatIp } from "../../../../common/net/ip.ts";

function parse(config: unknown): ReturnType<typeof parseNetworkConfig> {
  return parseNetworkConfig(typeof config === "string" ? config : JSON.stringify(config));
}

function valid(config: unknown): NetworkConfig {
  const parsed = parse(config);
  assert.equal(parsed.kind, "valid", inspect(parsed));
  return parsed.config;
}

/** "path: message" of everything that is wrong. */
function problems(config: unknown): string[] {
  const parsed = parse(config);
  assert.equal(parsed.kind, "invalid");
  return parsed.problems.map(({ path, message }) => `${path}: ${message}`);
}

function warnings(config: unknown): string[] {
  const parsed = parse(config);
  assert.equal(parsed.kind, "valid", inspect(parsed));
  return parsed.warnings.map(({ path, message }) => `${path}: ${message}`);
}

/** One expected line; the whole list must be this one. */
function assertOnly(lines: readonly string[], expected: RegExp): void {
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(lines[0] ?? "", expected);
}

function range(subnets: SubnetRange | undefined): string {
  assert.ok(subnets);
  const { network, subnetLen, subnetMin, subnetMax } = subnets;
  return `${formatCidr(network)} /${subnetLen} ${formatIp(subnetMin)}..${formatIp(subnetMax)}`;
}

const vxlan = { Type: "vxlan" };
const v4 = (more: object): object => ({ Network: "10.3.0.0/16", Backend: vxlan, ...more });
const v6 = (more: object): object =>
  v4({ EnableIPv6: true, IPv6Network: "fc00::/48", Backend: vxlan, ...more });

describe("the IPv4 range", () => {
  const defaults: [network: string, expected: string][] = [
    ["10.3.0.0/16", "10.3.0.0/16 /24 10.3.1.0..10.3.255.0"],
    ["10.1.2.3/16", "10.1.0.0/16 /24 10.1.1.0..10.1.255.0"],
    ["255.255.0.0/16", "255.255.0.0/16 /24 255.255.1.0..255.255.255.0"],
    ["10.0.0.0/8", "10.0.0.0/8 /24 10.0.1.0..10.255.255.0"],
    ["10.3.0.0/22", "10.3.0.0/22 /24 10.3.1.0..10.3.3.0"],
    ["10.3.0.0/23", "10.3.0.0/23 /25 10.3.0.128..10.3.1.128"],
    ["10.3.0.0/24", "10.3.0.0/24 /26 10.3.0.64..10.3.0.192"],
    ["10.3.0.0/28", "10.3.0.0/28 /30 10.3.0.4..10.3.0.12"],
  ];
  for (const [network, expected] of defaults) {
    it(`takes flannel's defaults for ${network}`, () => {
      assert.equal(range(valid(v4({ Network: network })).v4), expected);
    });
  }

  it("takes an explicit length and bounds, the network address itself included", () => {
    const config = v4({ SubnetLen: 28, SubnetMin: "10.3.0.0", SubnetMax: "10.3.9.240" });
    assert.equal(range(valid(config).v4), "10.3.0.0/16 /28 10.3.0.0..10.3.9.240");
  });

  it("may be as small as four subnets, or one when Min and Max say so", () => {
    assert.equal(range(valid(v4({ SubnetLen: 18 })).v4), "10.3.0.0/16 /18 10.3.64.0..10.3.192.0");
    assert.equal(
      range(valid(v4({ SubnetMin: "10.3.9.0", SubnetMax: "10.3.9.0" })).v4),
      "10.3.0.0/16 /24 10.3.9.0..10.3.9.0",
    );
  });

  for (const network of [
    ...["0.0.0.0/8", "0.255.0.0/16", "127.128.0.0/16", "169.254.128.0/20", "239.255.0.0/16"],
  ]) {
    it(`refuses addresses that no router carries: ${network}`, () => {
      assertOnly(problems(v4({ Network: network })), /^\$\.Network: .* overlaps the .* addresses/);
    });
  }
  for (const network of [
    ...["1.0.0.0/16", "126.255.0.0/16", "128.0.0.0/16", "169.253.0.0/16", "169.255.0.0/16"],
    ...["223.255.0.0/16", "240.0.0.0/16", "100.64.0.0/10"],
  ]) {
    it(`takes their neighbours: ${network}`, () => {
      assert.deepEqual(warnings(v4({ Network: network })), []);
    });
  }

  it("is left out when it is switched off, with a warning when it is written", () => {
    const config = v6({ EnableIPv4: false });
    assert.equal(valid(config).v4, undefined);
    assert.match(
      warnings(config).join("\n"),
      /^\$\.Network: Network has no effect because EnableIPv4 is false$/m,
    );
  });

  it("gets one problem for one mistake", () => {
    const off = { SubnetMin: "10.3.9.7", SubnetMax: "10.3.8.0" };
    assertOnly(problems(v4(off)), /^\$\.SubnetMin: .*boundary/);
    assertOnly(problems(v4({ SubnetLen: 31, SubnetMin: "10.3.0.2" })), /^\$\.SubnetLen/);
    assertOnly(problems(v4({ Network: "x", SubnetLen: 17 })), /^\$\.Network/);
  });

  it("reads 0, 0.0.0.0 and null as not given", () => {
    const config = v4({ SubnetLen: 0, SubnetMin: "0.0.0.0", SubnetMax: null, IPv6Network: null });
    assert.equal(range(valid(config).v4), "10.3.0.0/16 /24 10.3.1.0..10.3.255.0");
  });

  const refusals: [what: string, more: object, expected: RegExp][] = [
    ["no Network", { Network: undefined }, /^\$\.Network: please define a correct Network/],
    ["0.0.0.0/0", { Network: "0.0.0.0/0" }, /^\$\.Network: please define a correct Network/],
    ["a length of 31", { SubnetLen: 31 }, /^\$\.SubnetLen: SubnetLen must be less than \/31/],
    ["a length of -1", { SubnetLen: -1 }, /^\$\.SubnetLen: SubnetLen must be less than \/31/],
    ["too few subnets", { SubnetLen: 17 }, /at least four subnets.*at least 18, not 17/],
    ["a tiny network", { Network: "10.3.0.0/29" }, /too small.*minimum useful.*\/28/],
    ["a host network", { Network: "10.3.0.1/32" }, /too small/],
    ["Min outside", { SubnetMin: "10.4.1.0" }, /^\$\.SubnetMin: .*not in the range of the network/],
    ["Max outside", { SubnetMax: "10.2.1.0" }, /^\$\.SubnetMax: .*not in the range of the network/],
    ["Min off the boundary", { SubnetMin: "10.3.1.7" }, /boundary: 10\.3\.1\.7.*use 10\.3\.1\.0/],
    ["Max off the boundary", { SubnetMax: "10.3.1.7" }, /^\$\.SubnetMax: .*SubnetLen boundary/],
    [
      "Min above Max",
      { SubnetMin: "10.3.9.0", SubnetMax: "10.3.8.0" },
      /^\$\.SubnetMin: .*above SubnetMax 10\.3\.8\.0/,
    ],
    ["Max below the default Min", { SubnetMax: "10.3.0.0" }, /^\$\.SubnetMax: .*above SubnetMax/],
    ["an address as Network", { Network: "10.3.0.0" }, /^\$\.Network: .*not "10\.3\.0\.0"/],
    ["a number as Network", { Network: 10 }, /^\$\.Network: .*in quotes.*not 10$/],
    ["an IPv6 network", { Network: "fc00::/48" }, /^\$\.Network: Network must be an IPv4 network/],
    ["an IPv6 Min", { SubnetMin: "fc00::" }, /^\$\.SubnetMin: .*IPv4 address/],
    ["a length in quotes", { SubnetLen: "24" }, /SubnetLen must be a whole number.*not "24"/],
    ["a fractional length", { SubnetLen: 24.5 }, /SubnetLen must be a whole number.*not 24\.5/],
    ["a list", { SubnetMin: ["10.3.1.0"] }, /^\$\.SubnetMin: .*not a list/],
    ["loopback", { Network: "127.0.0.0/16" }, /overlaps the loopback addresses 127\.0\.0\.0\/8/],
    ["multicast", { Network: "192.0.0.0/2" }, /overlaps the multicast addresses/],
    ["a quoted boolean", { EnableNFTables: "true" }, /must be true or false without quotes/],
    ["a numeric boolean", { EnableIPv4: 1 }, /^\$\.EnableIPv4: .*not 1/],
    ["both families off", { EnableIPv4: false }, /^\$\.EnableIPv4: .*nothing is left/],
    ["an object as length", { SubnetLen: { a: 1 } }, /not an object/],
  ];
  for (const [what, more, expected] of refusals) {
    it(`refuses ${what}`, () => assertOnly(problems(v4(more)), expected));
  }
});

describe("the IPv6 range", () => {
  const defaults: [network: string, expected: string][] = [
    ["fc00::/48", "fc00::/48 /64 fc00:0:0:1::..fc00:0:0:ffff::"],
    ["fc00::/62", "fc00::/62 /64 fc00:0:0:1::..fc00:0:0:3::"],
    ["fc00::/63", "fc00::/63 /65 fc00::8000:0:0:0..fc00:0:0:1:8000::"],
    ["fc00::/124", "fc00::/124 /126 fc00::4..fc00::c"],
  ];
  for (const [network, expected] of defaults) {
    it(`takes flannel's defaults for ${network}`, () => {
      assert.equal(range(valid(v6({ IPv6Network: network })).v6), expected);
    });
  }

  it("is absent unless it is switched on, with a warning when it is written", () => {
    const config = v4({ IPv6Network: "fc00::/48" });
    assert.equal(valid(config).v6, undefined);
    assertOnly(warnings(config), /^\$\.IPv6Network: .*no effect because EnableIPv6 is not true/);
  });

  it("works alone, with a warning about real flannel nodes", () => {
    const config = {
      EnableIPv4: false,
      EnableIPv6: true,
      IPv6Network: "fc00::/48",
      Backend: vxlan,
    };
    assert.equal(valid(config).v4, undefined);
    assert.equal(range(valid(config).v6), "fc00::/48 /64 fc00:0:0:1::..fc00:0:0:ffff::");
    assertOnly(warnings(config), /^\$\.EnableIPv4: IPv6 only/);
  });

  const refusals: [what: string, more: object, expected: RegExp][] = [
    ["no IPv6Network", { IPv6Network: undefined }, /define a correct IPv6Network/],
    ["::/0", { IPv6Network: "::/0" }, /define a correct IPv6Network/],
    ["a length of 127", { IPv6SubnetLen: 127 }, /IPv6SubnetLen must be less than \/127/],
    ["too few subnets", { IPv6SubnetLen: 49 }, /at least four subnets.*at least 50/],
    ["a tiny network", { IPv6Network: "fc00::/125" }, /too small.*\/124/],
    ["Min outside", { IPv6SubnetMin: "fd00::" }, /^\$\.IPv6SubnetMin: .*not in the range/],
    ["Max off the boundary", { IPv6SubnetMax: "fc00:0:0:1::1" }, /IPv6SubnetMax is not on/],
    ["an IPv4 network", { IPv6Network: "10.3.0.0/16" }, /must be an IPv6 network/],
    ["link-local", { IPv6Network: "fe80::/48" }, /overlaps the link-local/],
    ["loopback", { IPv6Network: "::/120" }, /overlaps the unspecified and loopback/],
    ["all of ::ffff:0:0", { IPv6Network: "::ffff:128.0.0.0/112" }, /overlaps the IPv4-mapped/],
    ["multicast", { IPv6Network: "ffff::/48" }, /overlaps the multicast/],
    ["site-local's neighbour", { IPv6Network: "febf::/48" }, /overlaps the link-local/],
    ["IPv4-mapped", { IPv6Network: "::ffff:10.3.0.0/112" }, /overlaps the IPv4-mapped/],
  ];
  for (const [what, more, expected] of refusals) {
    it(`refuses ${what}`, () => assertOnly(problems(v6(more)), expected));
  }
});

describe("the keys", () => {
  it("are read in any case and reported as they are spelled", () => {
    const config = valid({ NETWORK: "10.3.0.0/16", backend: { TYPE: "vxlan", vNi: 7 } });
    assert.equal(range(config.v4), "10.3.0.0/16 /24 10.3.1.0..10.3.255.0");
    assert.equal(config.backend.type === "vxlan" && config.backend.vni, 7);
    assertOnly(problems(v4({ subnetlen: 31 })), /^\$\.subnetlen: /);
  });

  it("are ignored when unknown, with a suggestion when mistyped", () => {
    assert.deepEqual(warnings(v4({ comment: "ours", owner: 7 })), []);
    assertOnly(
      warnings(v4({ SubnetLan: 24 })),
      /^\$\.SubnetLan: unknown key, ignored; did you mean SubnetLen\?/,
    );
  });

  it("explain a missing key by the mistyped one", () => {
    const lines = problems({ Netwrok: "10.3.0.0/16", Backend: vxlan });
    assert.match(lines[0] ?? "", /^\$\.Network: please define/);
    assert.match(lines[1] ?? "", /^\$\.Netwrok: .*did you mean Network\?/);
  });

  it("are named twenty times at most", () => {
    const slips = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`Networ${String.fromCharCode(0x100 + index)}`, 1]),
    );
    assert.equal(warnings(v4(slips)).length, 20);
  });

  it("have their value cut short in a message", () => {
    const [line = ""] = problems(v4({ SubnetMin: "x".repeat(1000) }));
    assert.ok(line.length < 150, line);
    assert.match(line, /x…$/);
    assertOnly(problems(v4({ SubnetMin: "y".repeat(38) })), /not "y{38}"$/);
  });

  it("are refused when two spellings contradict", () => {
    assertOnly(problems(v4({ network: "10.4.0.0/16" })), /given twice, as "Network" and "network"/);
  });

  it("are all reported together", () => {
    const lines = problems({
      Network: "nonsense",
      SubnetLen: "x",
      EnableIPv6: true,
      IPv6SubnetMin: 4,
      EnableNFTables: 0,
      Backend: { Type: "vxlan", VNI: -1, Port: 70000 },
    });
    assert.deepEqual(
      lines.map((line) => line.split(":")[0]),
      [
        "$.Network",
        "$.SubnetLen",
        "$.IPv6SubnetMin",
        "$.IPv6Network",
        "$.EnableNFTables",
        "$.Backend.VNI",
        "$.Backend.Port",
      ],
    );
  });

  it("switch nftables on only when they say so", () => {
    assert.equal(valid(v4({})).enableNFTables, false);
    assert.equal(valid(v4({ EnableNFTables: true })).enableNFTables, true);
  });

  it("say when the network's host bits are dropped", () => {
    assertOnly(warnings(v4({ Network: "10.1.2.3/16" })), /host bits set; 10\.1\.0\.0\/16 is used/);
  });
});

describe("the text", () => {
  const refusals: [what: string, text: string, expected: RegExp][] = [
    ["nothing", "", /^\$: the config is not JSON: it is empty$/],
    ["no JSON", "hello", /^\$: the config is not JSON/],
    ["a trailing comma", '{\n  "Network": "10.3.0.0/16",\n}', /not JSON: line 3, column 1$/],
    ["a missing colon", '{"a" 1}', /not JSON: line 1, column 6$/],
    ["a list", "[]", /^\$: the config must be a JSON object.*not a list/],
    ["null", "null", /not null/],
    ["deep nesting", "[".repeat(MAX_CONFIG_LENGTH), /not JSON/],
    ["deep valid nesting", `{"Backend":${"[".repeat(9000)}${"]".repeat(9000)}}`, /Network/],
    ["megabytes", " ".repeat(MAX_CONFIG_LENGTH + 1), /65537 characters long; the limit is 65536/],
  ];
  for (const [what, text, expected] of refusals) {
    it(`is refused when it is ${what}`, () => assert.match(problems(text)[0] ?? "", expected));
  }

  it("is never quoted in a message, because it may hold the PSK", () => {
    const [line = ""] = problems('{"Backend": {"PSK": "hunter2" "Type": "wireguard"}}');
    assert.doesNotMatch(line, /hunter2/);
  });

  it("may be anything: the answer is a value, never a throw", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), configLike()), (text) => {
        const parsed = parseNetworkConfig(text);
        if (parsed.kind === "invalid") assert.ok(parsed.problems.length > 0);
        else assert.ok(parsed.config.v4 !== undefined || parsed.config.v6 !== undefined);
      }),
      { numRuns: 500 },
    );
  });

  it("gives a range whose bounds lie in the network on subnet boundaries, or a problem", () => {
    fc.assert(
      fc.property(configLike(), (text) => {
        const parsed = parseNetworkConfig(text);
        if (parsed.kind === "invalid") return;
        for (const subnets of [parsed.config.v4, parsed.config.v6]) {
          if (subnets !== undefined) assertSound(subnets);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function assertSound({ network, subnetLen, subnetMin, subnetMax }: SubnetRange): void {
  const bits = network.ip.family === 4 ? 32 : 128;
  const size = 1n << BigInt(bits - subnetLen);
  assert.ok(subnetLen >= network.prefix + 2 && subnetLen <= bits - 2);
  assert.ok(subnetMin.value % size === 0n && subnetMax.value % size === 0n);
  assert.ok(network.ip.value <= subnetMin.value && subnetMin.value <= subnetMax.value);
  assert.ok(subnetMax.value + size <= network.ip.value + (1n << BigInt(bits - network.prefix)));
}

/** Configs with every key right or wrong, so that each check meets each other's neighbourhood. */
function configLike(): fc.Arbitrary<string> {
  const junk = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(null));
  const often = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 6, arbitrary: value }, { weight: 1, arbitrary: junk });
  const octet = fc.constantFrom(0, 1, 3, 127, 128, 192, 255);
  const ip = fc.tuple(octet, octet, octet).map(([b, c, d]) => `10.${b}.${c}.${d}`);
  const ip6 = fc.tuple(octet, octet).map(([a, b]) => `fc00:0:${a}:${b}::`);
  return fc
    .record(
      {
        Network: often(fc.tuple(ip, fc.integer({ min: 0, max: 33 })).map(([a, n]) => `${a}/${n}`)),
        SubnetLen: often(fc.integer({ min: 0, max: 33 })),
        SubnetMin: often(ip),
        SubnetMax: often(ip),
        EnableIPv6: often(fc.boolean()),
        IPv6Network: often(
          fc.tuple(ip6, fc.integer({ min: 0, max: 129 })).map(([a, n]) => `${a}/${n}`),
        ),
        IPv6SubnetLen: often(fc.integer({ min: 0, max: 129 })),
        IPv6SubnetMin: often(ip6),
        Backend: often(
          fc.record({
            Type: often(fc.constantFrom("vxlan", "wireguard", "udp", "ipip", "extension")),
            Port: junk,
            MTU: junk,
          }),
        ),
      },
      { requiredKeys: ["Network"] },
    )
    .map((config) => JSON.stringify(config));
}
