/**
 * The etcd options as flanneld has them (contract 2.1), from text to what the client takes.
 * Three deliberate differences: a CA file alone is honoured (flannel ignores it and talks
 * plain HTTP), a certificate without its key is an error (flannel ignores it too), and a
 * password without a user is an error. As with flannel, TLS files make every endpoint TLS,
 * also those written with http://.
 */
import { TwillError } from "../../common/errors.ts";

/** Texts from flags or environment; empty: not given. */
export interface EtcdOptionTexts {
  readonly endpoints: string;
  readonly prefix: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly username: string;
  readonly password: string;
}

export const DEFAULT_ETCD_OPTIONS: EtcdOptionTexts = {
  endpoints: "http://127.0.0.1:4001,http://127.0.0.1:2379",
  prefix: "/coreos.com/network",
  caFile: "",
  certFile: "",
  keyFile: "",
  username: "",
  password: "",
};

export interface EtcdOptions {
  /** URLs with scheme and port, each once, in the order given; never empty. */
  readonly endpoints: readonly string[];
  /** Starts with "/" unless it was given without, never ends with one: "/" is "". */
  readonly prefix: string;
  /** undefined: TLS only for https:// endpoints, verified by the system's CAs. */
  readonly tls: EtcdTlsFiles | undefined;
  readonly user: EtcdUser | undefined;
}

export interface EtcdTlsFiles {
  /** undefined: the system's CAs. */
  readonly caFile: string | undefined;
  /** Client certificate and key, together. */
  readonly identity: { readonly certFile: string; readonly keyFile: string } | undefined;
}

export interface EtcdUser {
  readonly username: string;
  readonly password: string;
}

const DEFAULT_PORT = "2379";

/** Reads all options; throws one OPTION_INVALID that names every problem. */
export function parseEtcdOptions(texts: EtcdOptionTexts): EtcdOptions {
  const problems: string[] = [];
  const tls = parseTls(texts, problems);
  const endpoints = parseEndpoints(texts.endpoints, tls !== undefined, problems);
  const user = parseUser(texts, problems);
  if (problems.length > 0) throw new TwillError("OPTION_INVALID", problems.join("; "));
  return { endpoints, prefix: cleanPrefix(texts.prefix), tls, user };
}

/** Duplicate and trailing slashes vanish, as in flannel's path joining. */
export function cleanPrefix(text: string): string {
  return text.trim().replaceAll(/\/+/g, "/").replace(/\/$/, "");
}

function parseEndpoints(text: string, secure: boolean, problems: string[]): readonly string[] {
  const parts = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (parts.length === 0) problems.push("--etcd-endpoints names no endpoint");
  const urls = parts.map((part) => parseEndpoint(part, secure, problems));
  return [...new Set(urls.filter((url) => url !== undefined))];
}

function parseEndpoint(text: string, secure: boolean, problems: string[]): string | undefined {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  const problem = (why: string): undefined => {
    problems.push(`--etcd-endpoints: "${text}" ${why}; write http(s)://HOST:PORT`);
    return undefined;
  };
  if (url === undefined || url.hostname === "") return problem("is not a URL");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return problem(`has the scheme ${url.protocol.slice(0, -1)}`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return problem("has something behind the port");
  }
  if (url.username !== "" || url.password !== "") {
    return problem("carries a user (use --etcd-username and --etcd-password)");
  }
  return `${secure ? "https:" : url.protocol}//${url.hostname}:${explicitPort(withScheme, url)}`;
}

/** `URL` drops a port that is the scheme's default, but etcd's default is another. */
function explicitPort(text: string, url: URL): string {
  if (url.port !== "") return url.port;
  const written = /:(80|443)\/?$/.exec(text)?.[1];
  return written ?? DEFAULT_PORT;
}

function parseTls(texts: EtcdOptionTexts, problems: string[]): EtcdTlsFiles | undefined {
  const { caFile, certFile, keyFile } = texts;
  if (certFile !== "" && keyFile === "") {
    problems.push("--etcd-certfile needs --etcd-keyfile, the key of the certificate");
  }
  if (keyFile !== "" && certFile === "") {
    problems.push("--etcd-keyfile needs --etcd-certfile, the certificate of the key");
  }
  if (caFile === "" && certFile === "" && keyFile === "") return undefined;
  return {
    caFile: caFile === "" ? undefined : caFile,
    identity: certFile === "" || keyFile === "" ? undefined : { certFile, keyFile },
  };
}

function parseUser(texts: EtcdOptionTexts, problems: string[]): EtcdUser | undefined {
  const { username, password } = texts;
  if (username === "" && password !== "") {
    problems.push("--etcd-password needs --etcd-username");
  }
  return username === "" ? undefined : { username, password };
}
