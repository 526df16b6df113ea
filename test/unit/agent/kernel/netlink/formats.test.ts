/**
 * Our bytes against the netlink package, an independent implementation of the same formats: it
 * must read what we write, and we must read what it writes.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import ifla from "netlink/dist/rt/ifla.js";
import rt from "netlink/dist/rt/structs.js";
import structs from "netlink/dist/structs.js";
import type { LinkState } from "../../../../../agent/kernel/kernel.ts";
import { decodeAddress } from "../../../../../agent/kernel/netlink/address.ts";
import { encodeChange } from "../../../../../agent/kernel/netlink/change.ts";
import { RTM } from "../../../../../agent/kernel/netlink/constants.ts";
import { decodeLink, encodeLinkCreation } from "../../../../../agent/kernel/netlink/link.ts";
import { decodeFdb, decodeNeighbour } from "../../../../../agent/kernel/netlink/neighbour.ts";
import { decodeRoute } from "../../../../../agent/kernel/netlink/route.ts";
import { formatIp, type Ip, ipToBytes } from "../../../../../common/net/ip.ts";
import { type Mac, macToBytes } from "../../../../../common/net/mac.ts";
import {
  deletion,
  ip,
  mac,
  putAddress,
  putFdb,
  putNeighbour,
  putRoute,
  route,
  vxlan,
} from "../../../../support/kernel-contract.ts";
import { firstMessage, message, written } from "../../../../support/netlink-bytes.ts";

const FAMILIES = [
  { af: 2, network: "10.244.7.0/24", prefix: 24, address: "10.244.7.0", remote: "10.99.0.7" },
  { af: 10, network: "fd50:7::/64", prefix: 64, address: "fd50:7::", remote: "fd99::7" },
] as const;
const LLADDR = mac("02:00:00:00:01:07");
const INDEX = 9;
const nameOf = (index: number): string | undefined => (index === INDEX ? "flannel.1" : undefined);

const bytes = (address: Ip | string): Buffer =>
  Buffer.from(ipToBytes(typeof address === "string" ? ip(address) : address));
const macBytes = (lladdr: Mac): Buffer => Buffer.from(macToBytes(lladdr));

/** Header and parsed body of the one message in `datagram`. */
function parsed(datagram: Buffer): { header: structs.NetlinkMessage; body: rt.Message } {
  const messages = structs.parseMessages(datagram);
  assert.equal(messages.length, 1);
  const [first] = messages;
  assert.ok(first);
  return { header: first, body: rt.parseMessage(first.type, first.data) };
}

const change = (
  given: Parameters<typeof encodeChange>[2],
  index = INDEX,
): ReturnType<typeof parsed> =>
  parsed(written((writer) => encodeChange(writer, { op: given.op, index, seq: 77 }, given)));

describe("what we write, as the netlink package reads it", () => {
  for (const { af, network, prefix, address, remote } of FAMILIES) {
    it(`is an onlink route that is made or replaced (family ${af})`, () => {
      const { header, body } = change(putRoute(route(network, address, { metric: 9 })));
      assert.deepEqual(
        { type: header.type, flags: header.flags, seq: header.seq },
        { type: 24, flags: 0x501, seq: 77 },
      );
      assert.deepEqual(body, {
        kind: "route",
        data: {
          family: af,
          dstLen: prefix,
          srcLen: 0,
          tos: 0,
          table: 254,
          protocol: "BOOT",
          scope: "UNIVERSE",
          type: "UNICAST",
          flags: { __unknown: 4 },
        },
        attrs: { dst: bytes(address), gateway: bytes(address), oif: INDEX, priority: 9 },
      });
    });

    it(`is a route's deletion in any scope (family ${af})`, () => {
      const { header, body } = change(deletion(putRoute(route(network, address))));
      assert.deepEqual([header.type, header.flags], [25, 1]);
      assert.equal(body.kind === "route" && body.data.scope, "NOWHERE");
      assert.deepEqual(body.kind === "route" && body.attrs, {
        dst: bytes(address),
        gateway: bytes(address),
        oif: INDEX,
      });
    });

    it(`is a permanent neighbour (family ${af})`, () => {
      const given = putNeighbour({ device: "flannel.1", ip: ip(address), mac: LLADDR });
      const { header, body } = change(given);
      assert.deepEqual([header.type, header.flags], [28, 0x501]);
      assert.deepEqual(body, {
        kind: "neighbor",
        data: {
          family: af,
          __pad1: 0,
          __pad2: 0,
          ifindex: INDEX,
          state: { permanent: true },
          flags: {},
          type: 1,
        },
        attrs: { dst: bytes(address), lladdr: macBytes(LLADDR) },
      });
      assert.deepEqual(change(deletion(given)).header.type, 29);
    });

    it(`is a permanent FDB entry of the device itself (remote of family ${af})`, () => {
      const { header, body } = change(
        putFdb({ device: "flannel.1", mac: LLADDR, remote: ip(remote) }),
      );
      assert.deepEqual([header.type, header.flags], [28, 0x501]);
      assert.deepEqual(body, {
        kind: "neighbor",
        data: {
          family: 7,
          __pad1: 0,
          __pad2: 0,
          ifindex: INDEX,
          state: { permanent: true },
          flags: { self: true },
          type: 0,
        },
        attrs: { dst: bytes(remote), lladdr: macBytes(LLADDR) },
      });
    });

    it(`is an interface address (family ${af})`, () => {
      const given = putAddress({ device: "flannel.1", ip: ip(address), prefix });
      const { header, body } = change(given);
      assert.deepEqual([header.type, header.flags], [20, 0x501]);
      assert.deepEqual(body, {
        kind: "address",
        data: { family: af, prefixlen: prefix, flags: {}, scope: 0, index: INDEX },
        attrs: { address: bytes(address), local: bytes(address) },
      });
      assert.deepEqual(change(deletion(given)).header.type, 21);
    });

    it(`is a vxlan device with all its attributes (local of family ${af})`, () => {
      const link = vxlan({ local: ip(remote), learning: true, gbp: true, port: 4789, vni: 70_000 });
      const { header, body } = parsed(written((w) => encodeLinkCreation(w, link, 3, 5)));
      assert.deepEqual([header.type, header.flags], [16, 0x601]);
      assert.ok(body.kind === "link");
      const { linkinfo, ...rest } = body.attrs;
      assert.deepEqual(rest, {
        ifname: "flannel.1",
        mtu: 1450,
        address: macBytes(link.mac),
        txqlen: 0,
      });
      assert.deepEqual(vxlanOf(linkinfo), {
        id: 70_000,
        link: 3,
        [af === 2 ? "local" : "local6"]: bytes(remote),
        ttl: 0,
        tos: 0,
        learning: 1,
        proxy: 0,
        rsc: 0,
        l2miss: 0,
        l3miss: 0,
        udpZeroCsum6Tx: 0,
        udpZeroCsum6Rx: 0,
        gbp: true,
        port: Buffer.from([4789 >> 8, 4789 & 255]),
      });
    });
  }

  it("leaves out port and group policy when they are not asked for", () => {
    const { body } = parsed(written((w) => encodeLinkCreation(w, vxlan(), 3, 5)));
    const info = body.kind === "link" ? vxlanOf(body.attrs.linkinfo) : {};
    assert.deepEqual(["port" in info, "gbp" in info, info.learning], [false, false, 0]);
  });

  it("is many messages one after the other, each whole", () => {
    const packed = written((writer) => {
      for (let seq = 1; seq <= 200; seq += 1) {
        const given = putRoute(route("10.244.7.0/24", "10.244.7.0"));
        encodeChange(writer, { op: "put", index: INDEX, seq }, given);
      }
      writer.requestAck();
    });
    const messages = structs.parseMessages(packed);
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
    assert.deepEqual(
      messages.filter(({ flags }) => (flags & 4) !== 0).map(({ seq }) => seq),
      [200],
    );
  });
});

describe("what the netlink package writes, as we read it", () => {
  for (const { af, prefix, address, remote } of FAMILIES) {
    it(`is a route of the main table (family ${af})`, () => {
      const found = decodeRoute(
        cursor(RTM.NEWROUTE, {
          kind: "route",
          data: {
            family: af,
            dstLen: prefix,
            table: 254,
            protocol: "BOOT",
            scope: "UNIVERSE",
            type: "UNICAST",
            flags: { __unknown: 4 },
          },
          attrs: { dst: bytes(address), gateway: bytes(remote), oif: INDEX, priority: 1024 },
        }),
        "both",
        nameOf,
      );
      assert.deepEqual(found, {
        destination: { ip: ip(address), prefix },
        gateway: ip(remote),
        device: "flannel.1",
        onlink: true,
        scope: "global",
        type: "unicast",
        protocol: 3,
        metric: 1024,
      });
    });

    it(`is a neighbour (family ${af})`, () => {
      const read = (state: rt.NeighborState): ReturnType<typeof decodeNeighbour> =>
        decodeNeighbour(
          cursor(RTM.NEWNEIGH, {
            kind: "neighbor",
            data: { family: af, ifindex: INDEX, state, type: 1 },
            attrs: { dst: bytes(address), lladdr: macBytes(LLADDR) },
          }),
          nameOf,
        );
      const neighbour = { device: "flannel.1", ip: ip(address), mac: LLADDR };
      assert.deepEqual(read({ permanent: true }), { ...neighbour, permanent: true });
      assert.deepEqual(read({ stale: true }), { ...neighbour, permanent: false });
      assert.equal(read({ noarp: true }), undefined);
    });

    it(`is an FDB entry (remote of family ${af})`, () => {
      const found = decodeFdb(
        cursor(RTM.NEWNEIGH, {
          kind: "neighbor",
          data: { family: 7, ifindex: INDEX, state: { permanent: true }, flags: { self: true } },
          attrs: { dst: bytes(remote), lladdr: macBytes(LLADDR) },
        }),
        nameOf,
      );
      const expected = { device: "flannel.1", mac: LLADDR, remote: ip(remote), permanent: true };
      assert.deepEqual(found, expected);
    });

    it(`is an interface address, the own one of a point-to-point pair (family ${af})`, () => {
      const found = decodeAddress(
        cursor(RTM.NEWADDR, {
          kind: "address",
          data: { family: af, prefixlen: prefix, index: INDEX, scope: 0 },
          attrs: {
            address: bytes(remote),
            local: bytes(address),
            flags: { permanent: true, deprecated: true, secondary: true },
          },
        }),
        nameOf,
      );
      assert.deepEqual(found, {
        device: "flannel.1",
        ip: ip(address),
        prefix,
        scope: "global",
        permanent: true,
        temporary: af === 10,
        deprecated: true,
      });
    });
  }

  it("is a vxlan device", () => {
    const linkinfo = stream((out) => {
      out.push(1, structs.putString("vxlan"));
      const data = ifla.formatVxlan({
        id: 5,
        link: 3,
        local: bytes("10.99.0.1"),
        group: bytes("239.1.1.1"),
        port: Buffer.from([0x21, 0x18]),
        learning: 1,
        l2miss: 1,
        l3miss: 1,
        gbp: true,
      });
      out.push(2, data);
    });
    const found: LinkState | undefined = decodeLink(
      cursor(RTM.NEWLINK, {
        kind: "link",
        data: { index: 4, flags: { up: true, running: true } },
        attrs: {
          ifname: "flannel.5",
          mtu: 1450,
          address: macBytes(LLADDR),
          link: Buffer.from([2, 0, 0, 0]),
          linkinfo,
        },
      }),
    );
    assert.deepEqual(found, {
      index: 4,
      name: "flannel.5",
      kind: "vxlan",
      up: true,
      running: true,
      mtuBytes: 1450,
      mac: LLADDR,
      lowerIndex: 2,
      vxlan: {
        vni: 5,
        lowerIndex: 3,
        local: ip("10.99.0.1"),
        group: ip("239.1.1.1"),
        port: 8472,
        learning: true,
        gbp: true,
        l2miss: true,
        l3miss: true,
      },
    });
  });

  it("is nothing to us when it is about another table, type or family", () => {
    const base = { family: 2, dstLen: 24, table: 254, type: "UNICAST" } as const;
    const attrs = { dst: bytes("10.244.7.0"), oif: INDEX };
    const read = (data: rt.Route, wanted: 4 | 6 | "both" = "both"): unknown =>
      decodeRoute(cursor(RTM.NEWROUTE, { kind: "route", data, attrs }), wanted, nameOf);
    assert.ok(read(base));
    assert.ok(read(base, 4));
    assert.equal(read(base, 6), undefined);
    assert.equal(read({ ...base, table: 255 }), undefined);
    assert.equal(read({ ...base, type: "LOCAL" }), undefined);
    assert.equal(read({ ...base, flags: { cloned: true } }), undefined);
    assert.equal(read({ ...base, family: 28 }), undefined);
    assert.equal(read({ ...base, dstLen: 33 }), undefined);
    assert.equal(read({ ...base, family: 10 }), undefined);
  });

  it("is nothing to us when its device has no name", () => {
    const unnamed = cursor(RTM.NEWROUTE, {
      kind: "route",
      data: { family: 2, dstLen: 24, table: 254, type: "UNICAST" },
      attrs: { dst: bytes("10.244.7.0"), oif: INDEX + 1 },
    });
    assert.equal(decodeRoute(unnamed, "both", nameOf), undefined);
  });

  it("is nothing to us when it is a link's part in a bridge", () => {
    const link = cursor(RTM.NEWLINK, {
      kind: "link",
      data: { family: 7, index: 4 },
      attrs: { ifname: "veth0" },
    });
    assert.equal(decodeLink(link), undefined);
  });

  it("is a gateway of the other family (RTA_VIA)", () => {
    const body = stream((out) => {
      out.emit(rt.formatRoute({ family: 2, dstLen: 24, table: 254, type: "UNICAST" }));
      const via = Buffer.concat([Buffer.from([10, 0]), bytes("fe80::7")]);
      out.emit(rt.formatRouteAttrs({ dst: bytes("10.244.7.0"), oif: INDEX }));
      out.push(18, via);
    });
    const found = firstMessage(message({ type: RTM.NEWROUTE, body }));
    assert.ok(found);
    const gateway = decodeRoute(found, 4, nameOf)?.gateway;
    assert.equal(gateway && formatIp(gateway), "fe80::7");
  });
});

/** Our cursor on a message that the package wrote. */
function cursor(type: number, given: Given): NonNullable<ReturnType<typeof firstMessage>> {
  const found = firstMessage(message({ type, body: stream((out) => format(given, out)) }));
  assert.ok(found);
  return found;
}

type Given = rt.RouteMessage | rt.NeighborMessage | rt.AddressMessage | rt.LinkMessage;

function format(given: Given, out: structs.AttrStream): void {
  if (given.kind === "route") rt.formatRouteMessage(given, out);
  else if (given.kind === "neighbor") rt.formatNeighborMessage(given, out);
  else if (given.kind === "address") rt.formatAddressMessage(given, out);
  else rt.formatLinkMessage(given, out);
}

function stream(write: (out: structs.AttrStream) => void): Buffer {
  const out = new structs.AttrStream();
  write(out);
  return Buffer.concat(out.bufs);
}

/** The vxlan attributes in an IFLA_LINKINFO. */
function vxlanOf(linkinfo: Buffer | undefined): ifla.Vxlan {
  assert.ok(linkinfo);
  const parts = new Map<number, Buffer>();
  structs.parseAttributes(linkinfo, ({ type, data }) => parts.set(type, data));
  const [kind, data] = [parts.get(1), parts.get(2)];
  assert.ok(kind && data);
  assert.equal(structs.getString(kind), "vxlan");
  return ifla.parseVxlan(data);
}
