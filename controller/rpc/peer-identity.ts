/** Who speaks on a call, by the certificate of its connection, and what that entitles to. */
import type { handleUnaryCall, ServerUnaryCall } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import {
  type FoundIdentity,
  identityOfAltNames,
  type Role,
} from "../../common/identity/identity.ts";
import { callStatus } from "./call-status.ts";

type Authenticated = Pick<ServerUnaryCall<unknown, unknown>, "getAuthContext">;

/** undefined: the connection is plaintext, so anybody may say anything. */
export function identityOf(call: Authenticated): FoundIdentity | undefined {
  const { sslPeerCertificate: certificate } = call.getAuthContext();
  return certificate === undefined ? undefined : identityOfAltNames(certificate.subjectaltname);
}

/** The handler for callers of these roles only; a node's certificate must not lease for others. */
export function onlyFor<Request, Reply>(
  roles: readonly Role[],
  handler: handleUnaryCall<Request, Reply>,
): handleUnaryCall<Request, Reply> {
  return (call, respond) => {
    const refusal = roleRefusal(identityOf(call), roles);
    if (refusal === undefined) handler(call, respond);
    else respond(callStatus(refusal));
  };
}

function roleRefusal(
  found: FoundIdentity | undefined,
  roles: readonly Role[],
): TwillError | undefined {
  if (found === undefined) return undefined;
  if (found.kind === "none") return new TwillError("IDENTITY_REFUSED", found.reason);
  const { role, name } = found.identity;
  if (roles.includes(role)) return undefined;
  const text = `this call is for ${roles.join(" and ")} certificates, not for that of ${role} ${name}`;
  return new TwillError("IDENTITY_REFUSED", text);
}
