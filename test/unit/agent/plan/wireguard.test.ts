/** wireguard: devices by mode, a key per peer, one route per network, flannel's bytes in the lease. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import type {
  BackendPlanner,
  MadePlanner,
  WireguardIdentity,
} from "../../../../agent/plan/backend-planner.ts";
import type { HostFacts } from "../../../../agent/plan/host-facts.ts";
import { makePlanner } from "../../../../agent/plan/make-planner.ts";
import { PlanBook } from "../../../../agent/plan/plan-book.ts";
import type { WireguardBackend } from "../../../../common/config/backend-config.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { Secret } from "../../../../common/text/secret.ts";
import { assertGolden } from "../../../support/golden.ts";
import { formatKernelState } from "../../../support/kernel-text.ts";
import {
  dualLease,
  hostFacts,
  ip,
  networkConfig,
  plannerInput,
  vxlanLease,
  WIREGUARD,
  WIREGUARD_IDENTITY,
  wireguardData,
  wireguardWords,
} from "../../../support/leases.ts";

type Families = "v4" | "v6" | "dual";

interface Case {
  readonly backend?: Partial<WireguardBackend>;
  readonly families?: Families;
  readonly host?: Partial<HostFacts>;
  readonly identity?: WireguardIdentity | { readonly problem: string };
}

function planned({ backend = {}, families = "v4", host = {}, identity }: Case): MadePlanner {
  const config = networkConfig({ ...WIREGUARD, ...backend }, families);
  const input = plannerInput(config, host);
  const wireguard = identity ?? WIREGUARD_IDENTITY;
  return makePlanner({ ...input, identity: { ...input.identity, wireguard } });
}

function planner(given: Case = {}): BackendPlanner {
  const made = planned(given);
  assert.equal(made.kind, "planner");
  return made.planner;
}

const reasonOf = (given: Case): string => {
  const made = planned(given);
  return made.kind === "refused" ? made.reason : "";
};

const peer = (n: number, port?: number): Lease => vxlanLease(n, wireguardWords(n, port));
const dual = (n: number): Lease => dualLease(n, wireguardWords(n));

function stateOf(given: Case, own: Lease, ...peers: readonly Lease[]): string {
  const book = new PlanBook(planner(given), own);
  book.update([own, ...peers], []);
  return formatKernelState(book.state());
}

/** The endpoints of the planned peers. */
function endpoints(text: string): string[] {
  return [...text.matchAll(/endpoint (\S+)/g)].map(([, endpoint]) => endpoint ?? "");
}

describe("the wireguard planner", () => {
  it("plans a device, its address, one route for the network and a key per peer", () => {
    assertGolden("plan/wireguard.txt", stateOf({}, peer(1), peer(2), peer(3), vxlanLease(4)));
  });

  it("plans a device per family in mode separate, each peer by its own family's data", () => {
    const psk = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const given: Case = { families: "dual", backend: { psk, keepaliveSeconds: 25 } };
    assertGolden("plan/wireguard-dual.txt", stateOf(given, dual(1), dual(2), dual(3)));
  });

  it("carries both families over one device in the other modes", () => {
    for (const mode of ["auto", "ipv4", "ipv6"] as const) {
      const given: Case = { families: "dual", backend: { mode } };
      assertGolden(`plan/wireguard-${mode}.txt`, stateOf(given, dual(1), dual(2)));
    }
  });

  it("writes flannel's bytes into the lease", () => {
    assert.deepEqual(planner().registration, {
      backendType: "wireguard",
      backendData: `{"PublicKey":"${WIREGUARD_IDENTITY.publicKey}","Port":51820}`,
      backendV6Data: "",
    });
    assert.equal(
      planner({ families: "dual" }).registration.backendV6Data,
      `{"PublicKey":"${WIREGUARD_IDENTITY.publicKey}","Port":51821}`,
    );
  });

  it("says the port it listens on for both families when one device carries them", () => {
    const { registration } = planner({ families: "dual", backend: { mode: "ipv6" } });
    assert.equal(registration.backendV6Data, registration.backendData);
  });

  it("takes our own port for a peer of old flannel, which says none", () => {
    const old = vxlanLease(2, { type: "wireguard", data: wireguardData(2, undefined) });
    assert.deepEqual(endpoints(stateOf({}, peer(1), old, peer(3, 7777))), [
      "10.99.0.2:51820",
      "10.99.0.3:7777",
    ]);
  });

  it("uses the port that a real flannel peer listens on, not the one it says for IPv6", () => {
    const given: Case = { families: "dual", backend: { mode: "ipv6" } };
    const flannel = dualLease(2, wireguardWords(2));
    assert.deepEqual(endpoints(stateOf(given, dual(1), flannel)), ["[fd99::2]:51820"]);
  });

  it("chooses in mode auto: public IPv4, else public IPv6 of both, else IPv4", () => {
    const given: Case = { families: "dual", backend: { mode: "auto" } };
    const both = dualLease(2, { ...wireguardWords(2), ip: "192.0.2.2", ip6: "2001:db8::2" });
    assert.deepEqual(endpoints(stateOf(given, dual(1), both)), ["192.0.2.2:51820"]);
    const inside = dualLease(2, { ...wireguardWords(2), ip: "10.9.9.2", ip6: "2001:db8::2" });
    const host = { publicIpv6: ip("2001:db8::1") };
    assert.deepEqual(endpoints(stateOf({ ...given, host }, dual(1), inside)), [
      "[2001:db8::2]:51820",
    ]);
    assert.deepEqual(endpoints(stateOf(given, dual(1), inside)), ["10.9.9.2:51820"]);
  });

  it("gives one key, or one subnet, to one of two peers, and says so", () => {
    const book = new PlanBook(planner(), peer(1));
    const sameKey = vxlanLease(3, { ...wireguardWords(2) });
    book.update([peer(1), peer(2), sameKey], []);
    assert.equal(book.state().wireguardPeers.length, 1);
    assert.match(book.problems()[0]?.reason ?? "", /its key \S+= is also claimed by lease/);
  });

  it("leaves out a peer with our own key, or with one that is none", () => {
    const book = new PlanBook(planner(), peer(1));
    const data = (key: string): string => JSON.stringify({ PublicKey: key, Port: 51820 });
    const bad = [WIREGUARD_IDENTITY.publicKey, "short", `${"A".repeat(43)}=`].map((key, index) =>
      vxlanLease(10 + index, { type: "wireguard", data: data(key) }),
    );
    book.update([peer(1), ...bad], []);
    assert.deepEqual(book.state().wireguardPeers, []);
    const reasons = book.problems().map(({ reason }) => reason);
    assert.deepEqual(
      reasons.map((reason) => /this node's own|not the base64/.exec(reason)?.[0]),
      ["this node's own", "not the base64", "not the base64"],
    );
  });

  it("refuses a host that cannot: no key, no address, no room", () => {
    const { external } = hostFacts();
    assert.match(reasonOf({ identity: { problem: "x holds no key" } }), /x holds no key/);
    assert.match(reasonOf({ host: { publicIp: undefined } }), /no IPv4 address/);
    const small = { external: { ...external, mtuBytes: 1350 } };
    assert.match(reasonOf({ host: small, families: "dual" }), /leaves 1270 bytes.*1280 for IPv6/);
    assert.equal(planner({ host: small }).mtuBytes, 1270);
  });

  it("shows no secret, however it is printed", () => {
    const psk = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const book = new PlanBook(planner({ backend: { psk } }), peer(1));
    book.update([peer(1), peer(2)], []);
    const state = book.state();
    const plain = (_key: string, value: unknown): unknown =>
      typeof value === "bigint" ? String(value) : value;
    const shown = [
      inspect(state, { depth: 9, showHidden: true }),
      JSON.stringify(state, plain),
      formatKernelState(state),
    ].join("\n");
    assert.ok(!shown.includes(psk));
    assert.ok(!shown.includes(WIREGUARD_IDENTITY.privateKey.reveal()));
    assert.ok(shown.includes(new Secret(psk).fingerprint));
  });
});
