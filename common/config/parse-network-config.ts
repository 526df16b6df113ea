/**
 * The text of `<prefix>/config` as flannel reads it (contract 1.8): same keys, same
 * defaults, same refusals, and more refusals where flannel accepts what cannot work. Every
 * problem is reported, each with its place. Any text is safe to give it.
 */
import type { BackendConfig } from "./backend-config.ts";
import { ConfigReport, isJsonObject, JsonFields, show } from "./json-fields.ts";
import type { ParsedConfig } from "./network-config.ts";
import { DEFAULT_BACKEND, type Families, parseBackendConfig } from "./parse-backend-config.ts";
import { parseSubnetRange } from "./parse-subnet-range.ts";

/** Far above any real config; bounds the work whatever somebody puts into the key. */
export const MAX_CONFIG_LENGTH = 65_536;

/** Any text to a config with all defaults filled in, or to everything that is wrong with it. */
export function parseNetworkConfig(text: string): ParsedConfig {
  const report = new ConfigReport();
  const json = parseObject(text, report);
  if (json === undefined) return { kind: "invalid", problems: report.problems };
  const fields = new JsonFields(json, "$", report);
  const families = {
    v4: fields.boolean("EnableIPv4", true),
    v6: fields.boolean("EnableIPv6", false),
  };
  checkFamilies(fields, families);
  const v4 = parseSubnetRange(fields, 4, families.v4);
  const v6 = parseSubnetRange(fields, 6, families.v6);
  const enableNFTables = fields.boolean("EnableNFTables", false);
  const backend = readBackend(fields, families);
  fields.noteSlips();
  if (report.problems.length > 0 || backend === undefined) {
    return { kind: "invalid", problems: [...report.problems, ...report.slips] };
  }
  return {
    kind: "valid",
    config: { v4, v6, enableNFTables, backend },
    warnings: [...report.warnings, ...report.slips],
  };
}

function parseObject(
  text: string,
  report: ConfigReport,
): Readonly<Record<string, unknown>> | undefined {
  if (text.length > MAX_CONFIG_LENGTH) {
    report.problem(
      "$",
      `the config is ${text.length} characters long; the limit is ${MAX_CONFIG_LENGTH}`,
    );
    return undefined;
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    report.problem("$", `the config is not JSON${placeOf(error, text)}`);
    return undefined;
  }
  if (isJsonObject(parsed)) return parsed;
  report.problem(
    "$",
    `the config must be a JSON object such as {"Network": "10.244.0.0/16"}, not ${show(parsed)}`,
  );
  return undefined;
}

/**
 * Where the JSON breaks, when V8 says so ("… at position 12"). The rest of its message is
 * left out: it quotes the text, which may hold the PSK.
 */
function placeOf(error: unknown, text: string): string {
  if (text.trim() === "") return ": it is empty";
  const match = error instanceof Error ? / at position (\d{1,6})/.exec(error.message) : null;
  if (match === null) return "";
  const before = text.slice(0, Number(match[1]));
  const line = before.split("\n").length;
  return `: line ${line}, column ${before.length - before.lastIndexOf("\n")}`;
}

function checkFamilies(fields: JsonFields, families: Families): void {
  if (families.v4) return;
  const path = fields.path("EnableIPv4");
  if (!families.v6) {
    fields.report.problem(path, "EnableIPv4 is false and EnableIPv6 is not true: nothing is left");
    return;
  }
  // Real flannel's keys for it make all nodes share one lease (contract 1.9).
  fields.report.warn(path, "IPv6 only: no real flannel node can work below this prefix");
}

function readBackend(fields: JsonFields, families: Families): BackendConfig | undefined {
  const field = fields.get("Backend");
  if (field !== undefined) return parseBackendConfig(field, fields.report, families);
  const path = fields.path("Backend");
  if (fields.has("Backend")) {
    return parseBackendConfig({ path, value: {} }, fields.report, families);
  }
  fields.report.warn(
    path,
    'no Backend is given: vxlan is used, as flannel\'s documentation says, but flannel\'s code takes udp; write "Backend": {"Type": "vxlan"} so that both agree',
  );
  return DEFAULT_BACKEND;
}
