/** What a replica writes into its election key: who it is and where it answers. JSON, for etcdctl's readers. */
import { parseHostPort } from "../common/net/host-port.ts";

export interface CandidateValue {
  readonly name: string;
  /** "host:port" of its gRPC server. */
  readonly address: string;
  /** Origin of its console; undefined: it serves none. */
  readonly console?: string | undefined;
}

export function encodeCandidate(candidate: CandidateValue): string {
  const { name, address, console } = candidate;
  return JSON.stringify({ name, address, console });
}

/** undefined: the key was written by something else (etcdctl elect), which nobody can be sent to. */
export function decodeCandidate(text: string): CandidateValue | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    if (!("name" in parsed && "address" in parsed)) return undefined;
    const { name, address } = parsed;
    if (typeof name !== "string" || typeof address !== "string") return undefined;
    if (parseHostPort(address) === undefined) return undefined;
    const console = "console" in parsed ? originOf(parsed.console) : undefined;
    return { name, address, ...(console === undefined ? {} : { console }) };
  } catch {
    return undefined;
  }
}

/** It becomes part of a header: nothing but a plain origin is taken over. */
function originOf(text: unknown): string | undefined {
  if (typeof text !== "string") return undefined;
  const authority = /^https?:\/\/([^/\s;,]+)$/.exec(text)?.[1];
  return authority === undefined || parseHostPort(authority) === undefined ? undefined : text;
}
