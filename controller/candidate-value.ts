/** What a replica writes into its election key: who it is and where it answers. JSON, for etcdctl's readers. */
import { parseHostPort } from "../common/net/host-port.ts";

export interface CandidateValue {
  readonly name: string;
  /** "host:port" of its gRPC server. */
  readonly address: string;
}

export function encodeCandidate(candidate: CandidateValue): string {
  return JSON.stringify({ name: candidate.name, address: candidate.address });
}

/** undefined: the key was written by something else (etcdctl elect), which nobody can be sent to. */
export function decodeCandidate(text: string): CandidateValue | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    if (!("name" in parsed && "address" in parsed)) return undefined;
    const { name, address } = parsed;
    if (typeof name !== "string" || typeof address !== "string") return undefined;
    return parseHostPort(address) === undefined ? undefined : { name, address };
  } catch {
    return undefined;
  }
}
