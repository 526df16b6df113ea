/** Who speaks on a call, by the certificate of its connection. */
import type { ServerUnaryCall } from "@grpc/grpc-js";
import { type FoundIdentity, identityOfAltNames } from "../../common/identity/identity.ts";

type Authenticated = Pick<ServerUnaryCall<unknown, unknown>, "getAuthContext">;

/** undefined: the connection is plaintext, so anybody may say anything. */
export function identityOf(call: Authenticated): FoundIdentity | undefined {
  const { sslPeerCertificate: certificate } = call.getAuthContext();
  return certificate === undefined ? undefined : identityOfAltNames(certificate.subjectaltname);
}
