/**
 * The two services by which machines become nodes. Enrolment answers those who have no
 * certificate and knows them by their token; Membership answers behind mutual TLS.
 */
import type { Clock } from "../../common/async/clock.ts";
import { parseJoinToken } from "../../common/enrolment/join-token.ts";
import { TwillError } from "../../common/errors.ts";
import { isName } from "../../common/identity/identity.ts";
import type { Logger } from "../../common/log.ts";
import { parseIp } from "../../common/net/ip.ts";
import { readCertificate } from "../../common/pki/authority.ts";
import type {
  Enrolled,
  EnrolmentServer,
  InviteRequest,
  MembershipServer,
} from "../../proto/gen/twill/v1/enrolment.ts";
import type { Caller } from "../auth/authorize.ts";
import type { EnrolmentAuthority, SignWish } from "../enrolment/enrolment-authority.ts";
import type { Invites } from "../enrolment/invites.ts";
import { answerUnary } from "./answer-unary.ts";

export interface EnrolmentParts {
  readonly authority: EnrolmentAuthority;
  readonly invites: Invites;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the certificates given out. */
  readonly ttlMs: number;
  /** "host:port" by which machines reach --enrol-listen. */
  readonly address: string;
}

const MAX_TTL_SECONDS = 30 * 86_400;
const MAX_ADDRESSES = 16;

export function createEnrolmentService(
  parts: EnrolmentParts,
  signal: AbortSignal,
): EnrolmentServer {
  const { authority, invites } = parts;
  return {
    getAuthorities: answerUnary(signal, { kind: "enrol" }, async () => ({
      pem: await authority.authoritiesPem(),
    })),
    enrol: answerUnary(signal, { kind: "enrol" }, async ({ token, requestPem }, ending) => {
      const parsed = parseJoinToken(token);
      if (parsed === undefined) throw new TwillError("UNAUTHENTICATED", "that is no join token");
      const key = await authority.keyOf(requestPem);
      const { node, addresses } = await invites.use(parsed, key, ending);
      return sign(parts, { requestPem, node, addresses });
    }),
  };
}

/** `parts` undefined: this replica does not enrol. */
export function createMembershipService(
  parts: EnrolmentParts | undefined,
  signal: AbortSignal,
): MembershipServer {
  return {
    invite: answerUnary(signal, { kind: "change" }, async (request, ending, caller) =>
      invite(enrolling(parts), { request, by: nameOf(caller) }, ending),
    ),
    renew: answerUnary(signal, { kind: "renew" }, async ({ requestPem }, _ending, caller) => {
      if (caller?.kind !== "identity") {
        throw new TwillError("IDENTITY_REFUSED", "without a certificate there is none to renew");
      }
      const { identity, addresses } = caller;
      await enrolling(parts).authority.keyOf(requestPem);
      return sign(enrolling(parts), { requestPem, node: identity.name, addresses });
    }),
  };
}

async function invite(
  { invites, authority, address }: EnrolmentParts,
  { request, by }: { readonly request: InviteRequest; readonly by: string },
  signal: AbortSignal,
): Promise<{ token: string; expires: string }> {
  const { node, ttlSeconds, addresses } = request;
  if (!isName(node)) throw malformed(`${JSON.stringify(node.slice(0, 80))} is no node name`);
  if (ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
    throw malformed(`an invitation lasts from 1 to ${MAX_TTL_SECONDS} seconds`);
  }
  if (addresses.length > MAX_ADDRESSES || addresses.some((one) => parseIp(one) === undefined)) {
    throw malformed(`addresses must be at most ${MAX_ADDRESSES} IP addresses`);
  }
  const fingerprint = await authority.fingerprint();
  const wish = { node, addresses, ttlSeconds, by, authority: fingerprint, address };
  return invites.create(wish, signal);
}

async function sign(
  { authority, clock, log, ttlMs }: EnrolmentParts,
  wish: Pick<SignWish, "requestPem" | "node" | "addresses">,
): Promise<Enrolled> {
  const { node } = wish;
  const certificatePem = await authority.sign({ ...wish, ttlMs, nowMs: clock.wallMs() });
  const { serial } = readCertificate(certificatePem);
  const message = `node ${node} has a certificate, serial ${serial}`;
  log.event("node.certified", message, { node, serial });
  return { certificatePem, authoritiesPem: await authority.authoritiesPem() };
}

function enrolling(parts: EnrolmentParts | undefined): EnrolmentParts {
  if (parts !== undefined) return parts;
  const wayOut = "ask one that has --enrol-listen and --enrol-ca-key-file";
  throw new TwillError("ENROLMENT_OFF", `this controller signs no certificates; ${wayOut}`);
}

function nameOf(caller: Caller): string {
  if (caller?.kind !== "identity") return "anybody";
  return `${caller.identity.role}/${caller.identity.name}`;
}

function malformed(message: string): TwillError {
  return new TwillError("OPTION_INVALID", message);
}
