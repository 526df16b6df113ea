/** The Backend object of the network config (contract 3), key by key. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import type { BackendConfig } from "../../../../common/config/backend-config.ts";
import { parseNetworkConfig } from "../../../../common/config/parse-network-config.ts";

const PSK = "mxhbTJ+vJzVEYQkkQpLJMNsvbPJ4R7jYSCR0QEKAHhI=";
const DUAL = { EnableIPv6: true, IPv6Network: "fc00::/48" };

type Parsed = ReturnType<typeof parseNetworkConfig>;

function parse(backend: unknown, more: object = {}): Parsed {
  return parseNetworkConfig(JSON.stringify({ Network: "10.3.0.0/16", ...more, Backend: backend }));
}

function valid(backend: unknown, more: object = {}): BackendConfig {
  const parsed = parse(backend, more);
  assert.equal(parsed.kind, "valid", inspect(parsed));
  return parsed.config.backend;
}

function problem(backend: unknown, more: object = {}): string {
  const parsed = parse(backend, more);
  assert.equal(parsed.kind, "invalid");
  assert.equal(parsed.problems.length, 1, JSON.stringify(parsed.problems));
  const [first] = parsed.problems;
  return `${first?.path}: ${first?.message}`;
}

function warnings(backend: unknown): string[] {
  const parsed = parse(backend);
  assert.equal(parsed.kind, "valid");
  return parsed.warnings.map(({ path, message }) => `${path}: ${message}`);
}

describe("the backend's defaults", () => {
  const vxlan = {
    type: "vxlan",
    vni: 1,
    port: 0,
    mtuBytes: undefined,
    gbp: false,
    learning: false,
    directRouting: false,
  };
  const defaults: [type: string, expected: object][] = [
    ["vxlan", vxlan],
    ["VXLAN", vxlan],
    ["host-gw", { type: "host-gw" }],
    ["ipip", { type: "ipip", directRouting: false }],
    ["udp", { type: "udp", port: 8285 }],
    [
      "wireguard",
      {
        type: "wireguard",
        psk: "",
        listenPort: 51820,
        listenPortV6: 51821,
        mtuBytes: undefined,
        keepaliveSeconds: 0,
        mode: "separate",
      },
    ],
    ["alloc", { type: "alloc" }],
    [
      "extension",
      {
        type: "extension",
        preStartupCommand: "",
        postStartupCommand: "",
        subnetAddCommand: "",
        subnetRemoveCommand: "",
      },
    ],
  ];
  for (const [type, expected] of defaults) {
    it(`are flannel's for ${type}`, () => assert.deepEqual(valid({ Type: type }), expected));
  }

  it("are vxlan's when Backend is absent, with a warning that names udp", () => {
    const parsed = parseNetworkConfig('{"Network": "10.3.0.0/16"}');
    assert.equal(parsed.kind, "valid");
    assert.deepEqual(parsed.config.backend, vxlan);
    assert.equal(parsed.warnings.length, 1);
    assert.equal(parsed.warnings[0]?.path, "$.Backend");
    assert.match(parsed.warnings[0]?.message ?? "", /vxlan is used.*flannel's code takes udp/);
  });
});

describe("the backend's values", () => {
  it("are all taken for vxlan", () => {
    const backend = {
      Type: "vxlan",
      VNI: 16_777_215,
      Port: 8472,
      MTU: 9000,
      GBP: true,
      Learning: true,
      DirectRouting: true,
    };
    assert.deepEqual(valid(backend), {
      type: "vxlan",
      vni: 16_777_215,
      port: 8472,
      mtuBytes: 9000,
      gbp: true,
      learning: true,
      directRouting: true,
    });
  });

  it("are all taken for wireguard", () => {
    const backend = {
      Type: "wireguard",
      PSK,
      ListenPort: 1,
      ListenPortV6: 65_535,
      MTU: 1420,
      PersistentKeepaliveInterval: 25,
      Mode: "auto",
    };
    assert.deepEqual(valid(backend), {
      type: "wireguard",
      psk: PSK,
      listenPort: 1,
      listenPortV6: 65_535,
      mtuBytes: 1420,
      keepaliveSeconds: 25,
      mode: "auto",
    });
  });

  it("are all taken for extension", () => {
    const backend = { Type: "extension", SubnetAddCommand: "ip route add $SUBNET" };
    assert.deepEqual(valid(backend), {
      type: "extension",
      preStartupCommand: "",
      postStartupCommand: "",
      subnetAddCommand: "ip route add $SUBNET",
      subnetRemoveCommand: "",
    });
  });

  it("may be the smallest and the largest that work", () => {
    const least = valid({ Type: "vxlan", VNI: 0, Port: 0, MTU: 576 });
    assert.deepEqual(
      least.type === "vxlan" && [least.vni, least.port, least.mtuBytes],
      [0, 0, 576],
    );
    const most = valid({ Type: "vxlan", Port: 65_535, MTU: 65_535 });
    assert.deepEqual(most.type === "vxlan" && [most.port, most.mtuBytes], [65_535, 65_535]);
    const dual = valid({ Type: "vxlan", MTU: 1350 }, DUAL);
    assert.equal(dual.type === "vxlan" && dual.mtuBytes, 1350);
    const peer = { Type: "wireguard", MTU: 1360, PersistentKeepaliveInterval: 0, Mode: "ipv6" };
    const secure = valid(peer, DUAL);
    assert.equal(secure.type === "wireguard" && secure.mtuBytes, 1360);
    assert.match(problem({ Type: "wireguard", MTU: 1359 }, DUAL), /at least 1360/);
  });

  it("may be one port for wireguard when there is one device", () => {
    const same = { Type: "wireguard", ListenPort: 51821 };
    for (const [backend, more] of [
      [same, {}],
      [{ ...same, Mode: "auto" }, DUAL],
      [{ ...same, Mode: "ipv4" }, {}],
    ] as const) {
      const parsed = valid(backend, more);
      assert.equal(parsed.type === "wireguard" && parsed.listenPort, 51821);
    }
  });

  it("may be left to the interface by an MTU of 0", () => {
    const backend = valid({ Type: "vxlan", MTU: 0 });
    assert.equal(backend.type === "vxlan" && backend.mtuBytes, undefined);
  });
});

describe("a backend is refused", () => {
  const wireguard = (more: object): object => ({ Type: "wireguard", ...more });
  const refusals: [what: string, backend: unknown, expected: RegExp, more?: object][] = [
    ["without Type", {}, /^\$\.Backend\.Type: Backend is given without Type; .*vxlan, host-gw/],
    ["when null", null, /^\$\.Backend\.Type: Backend is given without Type/],
    ["with an empty Type", { Type: "" }, /given without Type/],
    ["when it is a text", "vxlan", /^\$\.Backend: Backend must be an object.*not "vxlan"/],
    ["with a number as Type", { Type: 5 }, /^\$\.Backend\.Type: Type must be a text/],
    [
      "when unknown",
      { Type: "vxlam" },
      /unknown backend type "vxlam"; the backends are vxlan, host-gw, ipip, udp, wireguard, alloc, extension$/,
    ],
    ["when named like an object's method", { Type: "toString" }, /unknown backend type/],
    ["when ipsec", { Type: "IPsec" }, /ipsec backend is not offered.*use wireguard/],
    ["when tencent-vpc", { Type: "tencent-vpc" }, /tencent-vpc backend is not offered.*wireguard/],
    ["with a VNI of 25 bits", { Type: "vxlan", VNI: 16_777_216 }, /VNI must lie .*24 bits/],
    ["with a VNI in quotes", { Type: "vxlan", VNI: "1" }, /VNI must be a whole number/],
    ["with a negative port", { Type: "vxlan", Port: -1 }, /Port must lie between 0 and 65535/],
    ["with a port above 16 bits", { Type: "udp", Port: 65_536 }, /Port must lie between 1 and/],
    ["with a random port that peers cannot know", { Type: "udp", Port: 0 }, /between 1 and 65535/],
    ["with a tiny MTU", { Type: "vxlan", MTU: 100 }, /MTU .*at least 576, not 100/],
    ["with a huge MTU", { Type: "vxlan", MTU: 100_000 }, /MTU must lie between 0 and 65535/],
    ["with an MTU too small for IPv6", { Type: "vxlan", MTU: 1349 }, /at least 1350.*IPv6/, DUAL],
    ["with a flag in quotes", { Type: "vxlan", GBP: "yes" }, /GBP must be true or false/],
    ["with a short PSK", wireguard({ PSK: "c2VjcmV0" }), /PSK must be the base64 text of 32 bytes/],
    ["with a PSK of 33 bytes", wireguard({ PSK: `${PSK.slice(0, 43)}A` }), /PSK must be/],
    ["with a number as PSK", wireguard({ PSK: 7 }), /PSK must be/],
    ["with an unknown Mode", wireguard({ Mode: "Auto" }), /Mode must be one of separate, auto/],
    ["with Mode ipv6 in an IPv4 network", wireguard({ Mode: "ipv6" }), /EnableIPv6 is not true/],
    [
      "with Mode ipv4 in an IPv6 network",
      wireguard({ Mode: "ipv4" }),
      /EnableIPv4 is false/,
      { ...DUAL, EnableIPv4: false },
    ],
    [
      "with one port for two devices",
      wireguard({ ListenPort: 51821 }),
      /^\$\.Backend\.ListenPortV6: .*both 51821/,
      DUAL,
    ],
    ["when it cannot carry IPv6", { Type: "ipip" }, /ipip carries only IPv4, but EnableIPv6/, DUAL],
    ["with a command that is no text", { Type: "extension", SubnetAddCommand: [] }, /text in quot/],
  ];
  for (const [what, backend, expected, more] of refusals) {
    it(what, () => assert.match(problem(backend, more), expected));
  }

  it("without showing the PSK", () => {
    assert.doesNotMatch(problem({ Type: "wireguard", PSK: "c2VjcmV0" }), /c2VjcmV0/);
  });
});

describe("a key without effect", () => {
  it("is named with the backend it is for", () => {
    assert.deepEqual(warnings({ Type: "host-gw", directrouting: true }), [
      "$.Backend.directrouting: DirectRouting has no effect with backend host-gw; it is for vxlan and ipip",
    ]);
  });

  it("is named with the key that was meant", () => {
    assert.deepEqual(warnings({ Type: "vxlan", Leaning: true }), [
      "$.Backend.Leaning: unknown key, ignored; did you mean Learning?",
    ]);
  });

  it("is ignored when it resembles nothing", () => {
    assert.deepEqual(warnings({ Type: "vxlan", note: "x" }), []);
  });
});
