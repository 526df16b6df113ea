/** "host:port" as people write it for listeners and endpoints; IPv6 goes in brackets. */
import { parseIp6 } from "./ip.ts";

export interface HostPort {
  /** A name or an address without brackets; empty: every local address. */
  readonly host: string;
  readonly port: number;
}

/** Parses "10.0.0.1:80", "name:80", "[::1]:80" and ":80"; undefined when malformed. */
export function parseHostPort(text: string): HostPort | undefined {
  const colon = text.lastIndexOf(":");
  const port = parsePort(text.slice(colon + 1));
  if (colon < 0 || port === undefined) return undefined;
  const host = text.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) {
    const address = host.slice(1, -1);
    return parseIp6(address) === undefined ? undefined : { host: address, port };
  }
  return /^[A-Za-z0-9._-]{0,253}$/.test(host) ? { host, port } : undefined;
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A decimal port from 0 to 65535. */
export function parsePort(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
