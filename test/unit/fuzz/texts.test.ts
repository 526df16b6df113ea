/**
 * Every decoder of a text that others write: etcd's keys and values, files of this machine that a
 * crash or an operator has changed, addresses. Whatever comes, each answers a value or a refusal;
 * none throws, none needs more time than the text is long.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parsePreviousEnv, renderSubnetEnv } from "../../../agent/host/subnet-env.ts";
import { parseTable, renderTable } from "../../../agent/host/table-cache.ts";
import { parseMacFile } from "../../../agent/host/vtep-mac.ts";
import { readVtep } from "../../../agent/peers/vtep.ts";
import { readWireguard } from "../../../agent/peers/wireguard-data.ts";
import { parseNetworkConfig } from "../../../common/config/parse-network-config.ts";
import { parseIdentity } from "../../../common/identity/identity.ts";
import { decodeLeaseValue } from "../../../common/lease/lease-json.ts";
import { parseSubnetKey } from "../../../common/lease/subnet-key.ts";
import { parseCidr } from "../../../common/net/cidr.ts";
import { parseHostPort } from "../../../common/net/host-port.ts";
import { parseIp } from "../../../common/net/ip.ts";
import { parseMac } from "../../../common/net/mac.ts";
import { parseWireguardKey } from "../../../common/net/wireguard-key.ts";
import { decodeCandidate, encodeCandidate } from "../../../controller/candidate-value.ts";
import {
  decodeJournalEntry,
  encodeJournalEntry,
  OUTSIDE,
} from "../../../controller/journal/journal-entry.ts";
import { decodeNodeRecord } from "../../../controller/lease/node-record.ts";
import { JOURNAL } from "../../../controller/view/keys.ts";
import { parseSubnetEntry } from "../../../controller/view/subnet-entry.ts";
import { nearlyText } from "../../support/fuzz.ts";
import { leaseValue, recordValue } from "../../support/lease-texts.ts";
import {
  ip,
  mac,
  network,
  numberedKey,
  vtepData,
  vxlanLease,
  wireguardData,
} from "../../support/leases.ts";

interface Decoder {
  readonly name: string;
  readonly decode: (text: string) => unknown;
  /** Texts that it reads; what comes is nearly one of them. */
  readonly good: readonly string[];
}

const ENTRY = { createRevision: 1, modRevision: 1, etcdLease: "7" };
const PEER = {
  ...{ key: "10.244.2.0-24", node: "b", family: 4 as const },
  ...{ subnet: network("10.244.2.0/24"), publicIp: ip("10.99.0.2") },
};
const CHANGED = {
  ...{
    at: "2024-01-01T00:00:00.000Z",
    by: OUTSIDE,
    action: "store.changed" as const,
    subject: "config",
  },
  changes: [{ key: "config", before: undefined, after: { value: "{}", forever: true } }],
};
const OWN_VTEP = { vni: 1, mac: mac("7e:00:00:00:00:01") };
const OWN_WIREGUARD = { publicKey: numberedKey(1), listenPort: 51_820 };
const CONFIG =
  '{"Network":"10.5.0.0/16","SubnetLen":24,"SubnetMin":"10.5.1.0","EnableIPv6":true,"IPv6Network":"fd00::/48","Backend":{"Type":"vxlan","VNI":1,"Port":8472,"DirectRouting":true}}';

const DECODERS: readonly Decoder[] = [
  {
    name: "lease value",
    decode: decodeLeaseValue,
    good: [leaseValue("10.99.0.2"), '{"PublicIP":"10.99.0.3","PublicIPv6":null}'],
  },
  {
    name: "lease key and value",
    decode: (text) =>
      parseSubnetEntry(text, { ...ENTRY, key: text, value: leaseValue("10.9.0.2") }),
    good: ["10.5.1.0-24", "10.5.1.0-24&fd00:0:0:1::-64"],
  },
  { name: "subnet key", decode: parseSubnetKey, good: ["10.5.1.0-24", "fd00:0:0:1::-64"] },
  { name: "network config", decode: parseNetworkConfig, good: [CONFIG] },
  {
    name: "node record",
    decode: (text) => decodeNodeRecord("a", text),
    good: [recordValue("a", "10.5.1.0-24", "10.99.0.2")],
  },
  {
    name: "election value",
    decode: decodeCandidate,
    good: [encodeCandidate({ name: "c", address: "10.0.0.1:7474" })],
  },
  {
    name: "journal entry",
    decode: (value) => decodeJournalEntry({ ...ENTRY, key: `${JOURNAL}1`, value }),
    good: [encodeJournalEntry(CHANGED)],
  },
  {
    name: "subnet.env",
    decode: parsePreviousEnv,
    good: [
      renderSubnetEnv({
        v4: { network: network("10.5.0.0/16"), subnet: network("10.5.1.0/24") },
        v6: { network: network("fd00::/48"), subnet: network("fd00:0:0:1::/64") },
        mtuBytes: 1450,
        ipMasq: true,
      }),
    ],
  },
  {
    name: "cached table",
    decode: parseTable,
    good: [
      renderTable({
        ...{ node: "a", instance: "i", revision: 7, configRevision: 2, configJson: CONFIG },
        ...{ ownKey: "10.244.1.0-24", leases: [vxlanLease(1), vxlanLease(2)] },
      }),
    ],
  },
  { name: "VTEP MACs", decode: parseMacFile, good: ["flannel.1 7e:00:00:00:00:01\n"] },
  {
    name: "vxlan backend data",
    decode: (backendData) => readVtep({ ...PEER, backendData }, OWN_VTEP),
    good: [vtepData("7e:00:00:00:00:02")],
  },
  {
    name: "wireguard backend data",
    decode: (text) => readWireguard(text, "BackendData", OWN_WIREGUARD),
    good: [wireguardData(2, 51_820)],
  },
  { name: "identity", decode: parseIdentity, good: ["spiffe://twill/node/a"] },
  { name: "address", decode: parseIp, good: ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"] },
  { name: "network", decode: parseCidr, good: ["10.0.0.0/8", "fd00::/48"] },
  { name: "host and port", decode: parseHostPort, good: ["10.0.0.1:7474", "[fd00::1]:7474"] },
  { name: "MAC", decode: parseMac, good: ["7e:00:00:00:00:01"] },
  { name: "WireGuard key", decode: parseWireguardKey, good: [numberedKey(7)] },
];

describe("a text that is nearly right", () => {
  for (const { name, decode, good } of DECODERS) {
    it(`is read or refused as ${name}`, () => {
      for (const text of good) assert.doesNotThrow(() => decode(text));
      fc.assert(
        fc.property(nearlyText(good), (text) => {
          decode(text);
        }),
        { numRuns: 2000 },
      );
    });

    it(`may be long and deep as ${name}`, () => {
      const long = ["[", '{"a":', "9", "0", " ", "\n", ".", ":", "&", "-", "\u0000", "é", "{}\n"];
      for (const text of long) {
        decode(text.repeat(60_000));
        decode(`${good[0] ?? ""}${text.repeat(60_000)}`);
      }
    });
  }
});
