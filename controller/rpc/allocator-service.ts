/**
 * What this replica does for the others while it leads: registrations and releases of nodes
 * whose streams they serve. When it does not lead, the answer says NOT_LEADER.
 */
import type { handleUnaryCall } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import type {
  AllocatorServer,
  RegisterReply,
  RegisterRequest,
  ReleaseReply,
  ReleaseRequest,
} from "../../proto/gen/twill/v1/fabric.ts";
import type { Allocator } from "../lease/allocator.ts";
import { answerUnary } from "./answer-unary.ts";
import { decodeRegister, refusedToWire, registeredToWire } from "./registration-wire.ts";

export function createAllocatorService(allocator: Allocator, signal: AbortSignal): AllocatorServer {
  const register: handleUnaryCall<RegisterRequest, RegisterReply> = answerUnary(
    signal,
    { kind: "allocate" },
    async (request, ending) => {
      const decoded = decodeRegister(request.node, request.register);
      if (decoded.kind === "malformed") {
        throw new TwillError("PROTOCOL_VIOLATION", `node ${request.node}: ${decoded.reason}`);
      }
      const number = request.register?.request ?? 0;
      const answer = await allocator.register(decoded.request, ending);
      return answer.kind === "registered"
        ? { outcome: { $case: "registered", value: registeredToWire(number, answer) } }
        : { outcome: { $case: "refused", value: refusedToWire(number, answer) } };
    },
  );
  const release: handleUnaryCall<ReleaseRequest, ReleaseReply> = answerUnary(
    signal,
    { kind: "allocate" },
    async ({ node }, ending) => {
      const answer = await allocator.release(node, ending);
      return answer.kind === "released"
        ? { outcome: { $case: "released", value: { key: answer.key } } }
        : { outcome: { $case: "refused", value: refusedToWire(0, answer) } };
    },
  );
  return { register, release };
}
