/** What the lab command's options mean: pure, from text to checked settings. */
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import { TwillError } from "../../common/errors.ts";
import { nearest } from "../../common/text/nearest.ts";
import { isLabName } from "./topology.ts";

/** As given on the command line; every field is present, by default or by choice. */
export interface GivenSettings {
  readonly name: string;
  readonly nodes: string;
  readonly controllers: string;
  readonly etcdMembers: string;
  readonly backend: string;
  /** Content of --config's file; undefined: not given. */
  readonly config: string | undefined;
  readonly insecure: boolean;
}

export interface Settings {
  readonly name: string;
  readonly nodes: number;
  readonly controllers: number;
  readonly etcdMembers: number;
  /** JSON text for the config key. */
  readonly config: string;
  readonly backend: string;
  /** Plaintext instead of mutual TLS. */
  readonly insecure: boolean;
}

export const BACKENDS = ["vxlan", "host-gw", "udp", "ipip", "wireguard"] as const;
export const LAB_NETWORK = "10.244.0.0/16";

const MOST = 250;

export type CheckedSettings =
  | { readonly kind: "settings"; readonly settings: Settings }
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

/** All problems together. */
export function checkSettings(given: GivenSettings): CheckedSettings {
  const problems: string[] = [];
  if (!isLabName(given.name)) {
    problems.push(`--name: lower-case letters and digits, a letter first, not "${given.name}"`);
  }
  const nodes = count("--nodes", given.nodes, 0, problems);
  const controllers = count("--controllers", given.controllers, 1, problems);
  const etcdMembers = count("--etcd-members", given.etcdMembers, 1, problems);
  const config = given.config ?? configFor(given.backend, problems);
  const backend = config === undefined ? given.backend : checkConfig(config, problems);
  if (problems.length > 0 || config === undefined) return { kind: "invalid", problems };
  const { name, insecure } = given;
  const settings = { name, nodes, controllers, etcdMembers, config, backend, insecure };
  return { kind: "settings", settings };
}

function count(option: string, text: string, least: number, problems: string[]): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= MOST) return value;
  problems.push(`${option}: a number from ${least} to ${MOST}, not "${text}"`);
  return least;
}

function configFor(backend: string, problems: string[]): string | undefined {
  if (BACKENDS.some((known) => known === backend)) {
    return JSON.stringify({ Network: LAB_NETWORK, Backend: { Type: backend } });
  }
  const meant = nearest(backend, BACKENDS);
  const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`;
  problems.push(`--backend: one of ${BACKENDS.join(", ")}, not "${backend}"${hint}`);
  return undefined;
}

/** The backend's type when the config is one a controller would accept. */
function checkConfig(config: string, problems: string[]): string {
  const parsed = parseNetworkConfig(config);
  if (parsed.kind === "valid") return parsed.config.backend.type;
  problems.push(...parsed.problems.map(({ path, message }) => `--config: ${path}: ${message}`));
  return "";
}

/** For main: throws OPTION_INVALID with every problem on a line of its own. */
export function requireSettings(given: GivenSettings): Settings {
  const checked = checkSettings(given);
  if (checked.kind === "settings") return checked.settings;
  throw new TwillError("OPTION_INVALID", checked.problems.join("\n"));
}
