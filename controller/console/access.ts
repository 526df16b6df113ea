/**
 * Who may read the console, as pure decisions. With TLS: whoever `twillctl status` would answer,
 * by the same certificate and the same table. Without: only programs of this machine, because
 * the option accepts loopback addresses alone; and no foreign web page by way of a browser here,
 * which is what the Host header tells (DNS rebinding sends the attacker's name in it).
 */
import type { HostPort } from "../../common/net/host-port.ts";
import { parseHostPort } from "../../common/net/host-port.ts";
import { parseIp } from "../../common/net/ip.ts";
import { type Caller, refusalOf } from "../auth/authorize.ts";

const LOOPBACK_V4 = 127n;

export function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const ip = parseIp(host);
  if (ip === undefined) return false;
  return ip.family === 4 ? ip.value >> 24n === LOOPBACK_V4 : ip.value === 1n;
}

/** Why not; undefined: it may. `caller` undefined: plaintext. */
export function consoleRefusal(caller: Caller, hostHeader: string): string | undefined {
  if (caller !== undefined) return refusalOf(caller, { kind: "look" });
  const host = hostOf(hostHeader);
  if (host !== undefined && isLoopback(host)) return undefined;
  return `this console answers to localhost and loopback addresses, not to ${JSON.stringify(hostHeader.slice(0, 80))}`;
}

function hostOf(header: string): string | undefined {
  return parseHostPort(header)?.host ?? parseHostPort(`${header}:80`)?.host;
}

/** Origin of a replica's console for people and pages; undefined: none that others could use. */
export function consoleOrigin(
  listen: HostPort,
  advertised: string,
  isTls: boolean,
): string | undefined {
  if (listen.port === 0) return undefined;
  const isEvery = listen.host === "" || listen.host === "0.0.0.0" || listen.host === "::";
  const host = isEvery ? (parseHostPort(advertised)?.host ?? "") : listen.host;
  const authority = host.includes(":") ? `[${host}]` : host;
  return `${isTls ? "https" : "http"}://${authority}:${listen.port}`;
}
