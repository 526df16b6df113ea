/**
 * The three calls by which a machine becomes a node and stays one. The first asks over a
 * connection that is not trusted, and believes only a CA whose fingerprint the token names; the
 * token itself goes over a connection that this CA vouches for.
 */
import { type ChannelCredentials, credentials, Metadata } from "@grpc/grpc-js";
import { type JoinToken, pinnedAuthorities } from "../../common/enrolment/join-token.ts";
import { TwillError } from "../../common/errors.ts";
import { onlyCall } from "../../common/rpc/unary-call.ts";
import {
  type Authorities,
  type Enrolled,
  EnrolmentClient,
  MembershipClient,
} from "../../proto/gen/twill/v1/enrolment.ts";
import { CHANNEL_OPTIONS, readCredentials, type TlsFiles } from "./channel.ts";

const DEADLINE_MS = 15_000;

export interface EnrolmentCalls {
  /** The CA that the token names, as PEM. */
  authorities(token: JoinToken): Promise<string>;
  enrol(
    token: { readonly parsed: JoinToken; readonly text: string },
    authoritiesPem: string,
    requestPem: string,
  ): Promise<Enrolled>;
  renew(controller: string, tls: TlsFiles, requestPem: string): Promise<Enrolled>;
}

export function enrolmentCalls(wallMs: () => number): EnrolmentCalls {
  const deadline = (): { deadline: number } => ({ deadline: wallMs() + DEADLINE_MS });
  return {
    async authorities({ address, authority }) {
      const blind = credentials.createSsl(null, null, null, { rejectUnauthorized: false });
      const client = openEnrolment(address, blind);
      const { pem } = await onlyCall<Authorities>(client, address, (done) =>
        client.getAuthorities({}, new Metadata(), deadline(), done),
      );
      const pinned = pinnedAuthorities(pem, authority);
      if (pinned !== "") return pinned;
      const what = `${address} does not know the CA that the token names; it is not this cluster's`;
      throw new TwillError("UNAUTHENTICATED", what);
    },
    enrol({ parsed: { address }, text: token }, authoritiesPem, requestPem) {
      const trusted = credentials.createSsl(Buffer.from(authoritiesPem));
      const client = openEnrolment(address, trusted);
      return onlyCall<Enrolled>(client, address, (done) =>
        client.enrol({ token, requestPem }, new Metadata(), deadline(), done),
      );
    },
    async renew(controller, tls, requestPem) {
      const own = await readCredentials(tls);
      const client = new MembershipClient(`dns:${controller}`, own, CHANNEL_OPTIONS);
      return onlyCall<Enrolled>(client, controller, (done) =>
        client.renew({ requestPem }, new Metadata(), deadline(), done),
      );
    },
  };
}

function openEnrolment(address: string, channel: ChannelCredentials): EnrolmentClient {
  return new EnrolmentClient(`dns:${address}`, channel, CHANNEL_OPTIONS);
}
