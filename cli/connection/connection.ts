/**
 * Which controllers to ask and with which certificate: from the command line, else the
 * environment, else a context of ~/.config/twill/config.yaml. Pure; reading files is the
 * caller's.
 *
 *   current: rack1
 *   contexts:
 *     rack1:
 *       controllers: [10.0.0.11:7474, 10.0.0.12:7474]
 *       tls: { ca: /etc/twill/ca.crt, cert: ~/me.crt, key: ~/me.key }
 *     lab:
 *       controllers: [10.99.0.21:7474]
 *       insecure: true
 */

import { parse as parseYaml } from "yaml";
import { TwillError } from "../../common/errors.ts";

export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Connection {
  /** host:port, asked in this order. */
  readonly controllers: readonly string[];
  /** undefined: plaintext, allowed explicitly. */
  readonly tls: TlsFiles | undefined;
}

/** What the command line gave; every field may be missing. */
export interface ConnectionFlags {
  readonly controllers?: string;
  readonly context?: string;
  readonly tlsCaFile?: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  readonly insecure?: boolean;
}

export interface ConnectionSources {
  readonly flags: ConnectionFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of the config file, undefined: there is none. */
  readonly configText: string | undefined;
  readonly configPath: string;
}

interface Draft {
  readonly controllers: readonly string[];
  readonly tls: Partial<TlsFiles>;
  readonly insecure: boolean;
}

/** Throws OPTION_INVALID naming what is missing and the three ways to give it. */
export function resolveConnection(sources: ConnectionSources): Connection {
  const drafts = [fromFlags(sources.flags), fromEnv(sources.env), fromConfig(sources)];
  const controllers = drafts.find((draft) => draft.controllers.length > 0)?.controllers;
  if (controllers === undefined) {
    throw new TwillError(
      "OPTION_INVALID",
      `no controller given: use --controllers HOST:PORT, TWILL_CONTROLLERS, or a context in ${sources.configPath}`,
    );
  }
  const insecure = drafts.some((draft) => draft.insecure);
  const [byFlags, byEnv, byConfig] = drafts.map((draft) => draft.tls);
  const tls = { ...byConfig, ...byEnv, ...byFlags };
  return { controllers, tls: insecure ? undefined : completeTls(tls) };
}

function completeTls(files: Partial<TlsFiles>): TlsFiles {
  const { ca, cert, key } = files;
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new TwillError(
      "OPTION_INVALID",
      "a certificate is needed: --tls-ca-file, --tls-cert-file and --tls-key-file (or --insecure for a plaintext lab)",
    );
  }
  return { ca, cert, key };
}

function fromFlags(flags: ConnectionFlags): Draft {
  return {
    controllers: splitList(flags.controllers),
    tls: definedTls(flags.tlsCaFile, flags.tlsCertFile, flags.tlsKeyFile),
    insecure: flags.insecure === true,
  };
}

function fromEnv(env: ConnectionSources["env"]): Draft {
  return {
    controllers: splitList(env["TWILL_CONTROLLERS"]),
    tls: definedTls(
      env["TWILL_TLS_CA_FILE"],
      env["TWILL_TLS_CERT_FILE"],
      env["TWILL_TLS_KEY_FILE"],
    ),
    insecure: env["TWILL_INSECURE"] === "true",
  };
}

function fromConfig(sources: ConnectionSources): Draft {
  const none: Draft = { controllers: [], tls: {}, insecure: false };
  const wanted = sources.flags.context ?? sources.env["TWILL_CONTEXT"];
  if (sources.configText === undefined) {
    if (wanted === undefined) return none;
    throw invalidConfig(sources, `there is no such file, so no context "${wanted}"`);
  }
  const config = asRecord(parseConfig(sources), sources, "the file");
  const name = wanted ?? config["current"];
  if (name === undefined) return none;
  if (typeof name !== "string") throw invalidConfig(sources, "current: must be a context's name");
  const contexts = asRecord(config["contexts"] ?? {}, sources, "contexts");
  if (contexts[name] === undefined) {
    const known = Object.keys(contexts).join(", ") || "none";
    throw invalidConfig(sources, `has no context "${name}"; known: ${known}`);
  }
  const context = asRecord(contexts[name], sources, `contexts.${name}`);
  const tls = asRecord(context["tls"] ?? {}, sources, `contexts.${name}.tls`);
  return {
    controllers: textList(context["controllers"], sources, `contexts.${name}.controllers`),
    tls: definedTls(textOf(tls["ca"]), textOf(tls["cert"]), textOf(tls["key"])),
    insecure: context["insecure"] === true,
  };
}

function parseConfig(sources: ConnectionSources): unknown {
  try {
    const parsed: unknown = parseYaml(sources.configText ?? "");
    return parsed ?? {};
  } catch (error) {
    throw invalidConfig(sources, error instanceof Error ? error.message : "is not YAML");
  }
}

function asRecord(
  value: unknown,
  sources: ConnectionSources,
  where: string,
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidConfig(sources, `${where} must be a mapping`);
  }
  return { ...value };
}

function textList(value: unknown, sources: ConnectionSources, where: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [];
  if (list.length === 0 || !list.every((item) => typeof item === "string")) {
    throw invalidConfig(sources, `${where} must be a list of HOST:PORT`);
  }
  return list;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function definedTls(ca?: string, cert?: string, key?: string): Partial<TlsFiles> {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function splitList(text: string | undefined): string[] {
  return (text ?? "").split(",").filter((part) => part !== "");
}

function invalidConfig(sources: ConnectionSources, problem: string): TwillError {
  return new TwillError("OPTION_INVALID", `${sources.configPath}: ${problem}`);
}
