/**
 * The `Backend` object of a network config with flannel's keys and defaults (contract 3).
 * flannel checks almost none of them; here a value that could not work is refused when it
 * is written, not when a node fails.
 */
import {
  BACKEND_FAMILIES,
  type BackendConfig,
  type BackendType,
  isBackendType,
  type VxlanBackend,
  type WireguardBackend,
} from "./backend-config.ts";
import { ConfigReport, type Field, isJsonObject, JsonFields, show } from "./json-fields.ts";

/** Which families the network has switched on. */
export interface Families {
  readonly v4: boolean;
  readonly v6: boolean;
}

const MAX_VNI = 2 ** 24 - 1;
const MAX_PORT = 65_535;
const MAX_MTU_BYTES = 65_535;
/** What every IPv4 host must take whole (RFC 791); less is a typing error. */
const MIN_MTU_BYTES = 576;
/** Inner packets of IPv6 need 1280 bytes (RFC 8200, 5) beside the outer IPv6 headers. */
const MIN_IPV6_MTU_BYTES = 1280;
const VXLAN_V6_OVERHEAD_BYTES = 70;
const WIREGUARD_OVERHEAD_BYTES = 80;
const PSK_BYTES = 32;
const MODES = ["separate", "auto", "ipv4", "ipv6"] as const;

type Parser = (fields: JsonFields, families: Families) => BackendConfig;

const PARSERS: Readonly<Record<BackendType, Parser>> = {
  vxlan: parseVxlan,
  "host-gw": () => ({ type: "host-gw" }),
  ipip: (fields) => ({ type: "ipip", directRouting: fields.boolean("DirectRouting", false) }),
  udp: (fields) => ({ type: "udp", port: port(fields, "Port", 8285) }),
  wireguard: parseWireguard,
  alloc: () => ({ type: "alloc" }),
  extension: parseExtension,
};

const BACKEND_TYPES = Object.keys(PARSERS).join(", ");

/** flannel's backends that Twill does not offer, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  ipsec: "it needs strongSwan beside the agent; use wireguard, which encrypts in the kernel",
  "tencent-vpc":
    "it drives one cloud's route tables; use wireguard or vxlan, which work in any cloud",
};

/** The backend when `Backend` is absent: flannel's documentation says vxlan, its code takes udp. */
export const DEFAULT_BACKEND: BackendConfig = PARSERS.vxlan(
  new JsonFields({}, "$.Backend", new ConfigReport()),
  { v4: true, v6: false },
);

/** undefined when the backend cannot be told or is refused; the report says why. */
export function parseBackendConfig(
  field: Field,
  report: ConfigReport,
  families: Families,
): BackendConfig | undefined {
  if (!isJsonObject(field.value)) {
    report.problem(
      field.path,
      `Backend must be an object such as {"Type": "vxlan"}, not ${show(field.value)}`,
    );
    return undefined;
  }
  const fields = new JsonFields(field.value, field.path, report);
  const type = readType(fields);
  if (type === undefined) return undefined;
  if (families.v6 && BACKEND_FAMILIES[type] === "v4") {
    report.problem(
      fields.path("Type"),
      `${type} carries only IPv4, but EnableIPv6 is true; use vxlan, host-gw or wireguard`,
    );
  }
  const backend = PARSERS[type](fields, families);
  warnOfStrayKeys(fields, type);
  return backend;
}

function readType(fields: JsonFields): BackendType | undefined {
  const field = fields.get("Type");
  const path = fields.path("Type");
  const known = `the backends are ${BACKEND_TYPES}`;
  if (field === undefined || field.value === "") {
    fields.report.problem(path, `Backend is given without Type; ${known}`);
    return undefined;
  }
  if (typeof field.value !== "string") {
    fields.report.problem(
      path,
      `Type must be a text in quotes, not ${show(field.value)}; ${known}`,
    );
    return undefined;
  }
  const type = field.value.toLowerCase();
  if (isBackendType(type)) return type;
  const refusal = Object.hasOwn(REFUSED, type) ? REFUSED[type] : undefined;
  fields.report.problem(
    path,
    refusal === undefined
      ? `unknown backend type ${show(field.value)}; ${known}`
      : `the ${type} backend is not offered: ${refusal}`,
  );
  return undefined;
}

/** A key that only other backends read, or that looks mistyped, has no effect: say so. */
function warnOfStrayKeys(fields: JsonFields, type: BackendType): void {
  fields.noteSlips();
  for (const [name, owners] of keyOwners()) {
    if (owners.includes(type) || !fields.has(name)) continue;
    fields.report.warn(
      fields.path(name),
      `${name} has no effect with backend ${type}; it is for ${owners.join(" and ")}`,
    );
  }
}

/** Which backends read which key: each parser is asked what it looks for. */
function keyOwners(): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  for (const [type, parse] of Object.entries(PARSERS)) {
    const probe = new JsonFields({}, "$", new ConfigReport());
    parse(probe, { v4: true, v6: true });
    for (const name of probe.asked) owners.set(name, [...(owners.get(name) ?? []), type]);
  }
  return owners;
}

function parseVxlan(fields: JsonFields, families: Families): VxlanBackend {
  return {
    type: "vxlan",
    vni: fields.integer("VNI", {
      min: 0,
      max: MAX_VNI,
      fallback: 1,
      rule: `must lie between 0 and ${MAX_VNI} (24 bits)`,
    }),
    port: fields.integer("Port", { min: 0, max: MAX_PORT, fallback: 0 }),
    mtuBytes: mtu(fields, families, VXLAN_V6_OVERHEAD_BYTES),
    gbp: fields.boolean("GBP", false),
    learning: fields.boolean("Learning", false),
    directRouting: fields.boolean("DirectRouting", false),
  };
}

function parseWireguard(fields: JsonFields, families: Families): WireguardBackend {
  const listenPort = port(fields, "ListenPort", 51820);
  const listenPortV6 = port(fields, "ListenPortV6", 51821);
  const mode = readMode(fields, families);
  // Two devices, each bound to its port on both families: the second bind would fail.
  if (mode === "separate" && families.v4 && families.v6 && listenPort === listenPortV6) {
    fields.report.problem(
      fields.path("ListenPortV6"),
      `ListenPort and ListenPortV6 are both ${listenPort}, but Mode "separate" makes two devices; give them different ports or another Mode`,
    );
  }
  return {
    type: "wireguard",
    psk: readPsk(fields),
    listenPort,
    listenPortV6,
    mtuBytes: mtu(fields, families, WIREGUARD_OVERHEAD_BYTES),
    // 16 bits of seconds in the kernel's interface.
    keepaliveSeconds: fields.integer("PersistentKeepaliveInterval", {
      min: 0,
      max: 65_535,
      fallback: 0,
    }),
    mode,
  };
}

function readMode(fields: JsonFields, families: Families): WireguardBackend["mode"] {
  const text = fields.string("Mode", "separate");
  const mode = MODES.find((known) => known === text);
  const wanted = `Mode must be one of ${MODES.join(", ")}`;
  if (mode === undefined) {
    fields.report.problem(fields.path("Mode"), `${wanted}, not ${show(text)}`);
    return "separate";
  }
  // The endpoint's address is announced only for a family that is switched on.
  if ((mode === "ipv6" && !families.v6) || (mode === "ipv4" && !families.v4)) {
    const enable = mode === "ipv6" ? "EnableIPv6 is not true" : "EnableIPv4 is false";
    fields.report.problem(fields.path("Mode"), `Mode "${mode}" cannot work because ${enable}`);
  }
  return mode;
}

/** The value is secret: no message shows it. */
function readPsk(fields: JsonFields): string {
  const field = fields.get("PSK");
  if (field === undefined || field.value === "") return "";
  // 43 digits of 6 bits and one "=": exactly 32 bytes; the last digit carries 4 bits.
  const isKey =
    typeof field.value === "string" && /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(field.value);
  if (isKey && typeof field.value === "string") return field.value;
  fields.report.problem(
    field.path,
    `PSK must be the base64 text of ${PSK_BYTES} bytes, as "wg genpsk" prints it (the value is not shown)`,
  );
  return "";
}

function parseExtension(fields: JsonFields): BackendConfig {
  return {
    type: "extension",
    preStartupCommand: fields.string("PreStartupCommand", ""),
    postStartupCommand: fields.string("PostStartupCommand", ""),
    subnetAddCommand: fields.string("SubnetAddCommand", ""),
    subnetRemoveCommand: fields.string("SubnetRemoveCommand", ""),
  };
}

/** A port that peers must know beforehand, so 0 (kernel chooses) cannot work. */
function port(fields: JsonFields, name: string, fallback: number): number {
  return fields.integer(name, { min: 1, max: MAX_PORT, fallback });
}

/** 0 and absent both mean: take the external interface's. */
function mtu(fields: JsonFields, families: Families, overheadBytes: number): number | undefined {
  const min = families.v6 ? MIN_IPV6_MTU_BYTES + overheadBytes : MIN_MTU_BYTES;
  const why = families.v6 ? `, because IPv6 inside needs ${MIN_IPV6_MTU_BYTES}` : "";
  const given = fields.integer("MTU", { min: 0, max: MAX_MTU_BYTES, fallback: 0 });
  if (given === 0) return undefined;
  if (given < min) {
    fields.report.problem(
      fields.path("MTU"),
      `MTU is that of the underlay and must be at least ${min}${why}, not ${given}`,
    );
  }
  return given;
}
