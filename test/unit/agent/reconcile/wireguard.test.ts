/** WireGuard peers in the one loop: silent drift is found, a session is left alone, the device lives on. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WireguardPeerState } from "../../../../agent/kernel/kernel.ts";
import { DEBOUNCE_MS, POLL_MS } from "../../../../agent/reconcile/reconciler.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import {
  ip,
  networkConfig,
  numberedKey,
  vxlanLease,
  WIREGUARD,
  wireguardWords,
} from "../../../support/leases.ts";
import { machine, ReconcileBench } from "../../../support/reconcile-bench.ts";

const DEVICE = "flannel-wg";
const CONFIG = networkConfig(WIREGUARD);
const peer = (n: number): Lease => vxlanLease(n, wireguardWords(n));
const keyOf = (n: number): string => `${DEVICE} ${numberedKey(n)}`;

async function started(kernel = machine()): Promise<ReconcileBench> {
  const bench = new ReconcileBench({ config: CONFIG, own: peer(1), kernel });
  bench.book.update([peer(1), peer(2), peer(3)], []);
  await bench.whole();
  await bench.advance(POLL_MS);
  bench.kernel.log.length = 0;
  return bench;
}

function change(bench: ReconcileBench, n: number, set: Partial<WireguardPeerState>): void {
  const { wireguardPeers } = bench.kernel.network;
  const found = wireguardPeers.get(keyOf(n));
  assert.ok(found);
  wireguardPeers.set(keyOf(n), { ...found, ...set });
}

describe("WireGuard peers", () => {
  it("are in the kernel before anything is routed to them", async () => {
    const kernel = machine();
    const bench = new ReconcileBench({ config: CONFIG, own: peer(1), kernel });
    await using _bench = bench;
    bench.book.update([peer(1), peer(2)], []);
    await bench.whole();
    assert.deepEqual(kernel.writes(), [
      `create link ${DEVICE}`,
      `set link ${DEVICE}`,
      `put address ${DEVICE} 10.244.1.0/32`,
      `put wireguard ${keyOf(2)}`,
      "put route 10.244.0.0/16",
    ]);
  });

  it("are put back within a second when somebody takes one, though no event says so", async () => {
    await using bench = await started();
    bench.kernel.network.wireguardPeers.delete(keyOf(2));
    await bench.advance(POLL_MS + DEBOUNCE_MS);
    assert.deepEqual(bench.kernel.writes(), [`put wireguard ${keyOf(2)}`]);
    assert.equal(bench.report?.drift[0]?.found, "absent");
  });

  it("are put right when their subnets, keepalive or preshared key are not as planned", async () => {
    for (const wrong of [{ allowed: [] }, { keepaliveSeconds: 7 }]) {
      await using bench = await started();
      change(bench, 3, wrong);
      await bench.advance(POLL_MS + DEBOUNCE_MS);
      assert.deepEqual(bench.kernel.writes(), [`put wireguard ${keyOf(3)}`]);
    }
  });

  it("may be elsewhere than their lease says as long as they prove themselves from there", async () => {
    await using bench = await started();
    const endpoint = { ip: ip("10.99.9.9"), port: 40_000 };
    change(bench, 2, { endpoint, hasSession: true });
    await bench.advance(3 * POLL_MS);
    assert.deepEqual(bench.kernel.writes(), []);
    change(bench, 2, { hasSession: false });
    await bench.advance(POLL_MS + DEBOUNCE_MS);
    assert.deepEqual(bench.kernel.writes(), [`put wireguard ${keyOf(2)}`]);
  });

  it("are sent to where a new plan says, whatever session they have at the old place", async () => {
    await using bench = await started();
    change(bench, 2, { hasSession: true });
    // What else happens to the device makes its peers be listed before the write.
    bench.kernel.network.setLink(DEVICE, { mtuBytes: 1300 });
    await bench.change([vxlanLease(2, { ...wireguardWords(2), ip: "10.99.0.99" })]);
    await bench.advance(POLL_MS);
    const { endpoint } = bench.kernel.network.wireguardPeers.get(keyOf(2)) ?? {};
    assert.deepEqual(endpoint?.ip, ip("10.99.0.99"));
    // From then on it may move again.
    change(bench, 2, { endpoint: { ip: ip("10.99.9.9"), port: 40_000 }, hasSession: true });
    bench.kernel.log.length = 0;
    await bench.advance(3 * POLL_MS);
    assert.deepEqual(bench.kernel.writes(), []);
  });

  it("that nobody planned are removed, and so is one whose lease is gone", async () => {
    await using bench = await started();
    await bench.change([], [peer(3).key]);
    assert.deepEqual(bench.kernel.writes(), [`delete wireguard ${keyOf(3)}`]);
    const stranger = bench.kernel.network.wireguardPeers.get(keyOf(2));
    assert.ok(stranger);
    const publicKey = numberedKey(77);
    bench.kernel.network.wireguardPeers.set(`${DEVICE} ${publicKey}`, { ...stranger, publicKey });
    await bench.advance(POLL_MS + DEBOUNCE_MS);
    assert.equal(bench.kernel.writes().at(-1), `delete wireguard ${DEVICE} ${publicKey}`);
  });

  it("move with their subnet when a node comes back with a new key", async () => {
    await using bench = await started();
    await bench.change([vxlanLease(3, wireguardWords(33))]);
    assert.deepEqual(bench.kernel.writes(), [
      `put wireguard ${keyOf(33)}`,
      `delete wireguard ${keyOf(3)}`,
    ]);
  });
});

describe("the WireGuard device", () => {
  it("is adopted with its peers by the next process, without one write", async () => {
    const kernel = machine();
    const before = await started(kernel);
    await before[Symbol.asyncDispose]();
    const after = new ReconcileBench({ config: CONFIG, own: peer(1), kernel });
    await using _after = after;
    after.book.update([peer(1), peer(2), peer(3)], []);
    await after.whole();
    assert.deepEqual(kernel.writes(), []);
  });

  it("gets another key or port while it lives", async () => {
    const kernel = machine();
    const before = await started(kernel);
    await before[Symbol.asyncDispose]();
    const found = kernel.network.links.get(DEVICE);
    assert.ok(found);
    const wireguard = { publicKey: numberedKey(50), listenPort: 1234 };
    kernel.network.links.set(DEVICE, { ...found, wireguard });
    const after = new ReconcileBench({ config: CONFIG, own: peer(1), kernel });
    await using _after = after;
    after.book.update([peer(1), peer(2), peer(3)], []);
    await after.whole();
    assert.deepEqual(kernel.writes(), [`set link ${DEVICE}`]);
    assert.equal(kernel.network.links.get(DEVICE)?.wireguard?.listenPort, 51820);
  });
});
