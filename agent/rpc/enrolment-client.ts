/**
 * The three calls by which a machine becomes a node and stays one. The first asks over a
 * connection that is not trusted, and believes only a CA whose fingerprint the token names; the
 * token itself goes over a connection that this CA vouches for.
 */
import {
  type ChannelCredentials,
  type Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { type JoinToken, pinnedAuthorities } from "../../common/enrolment/join-token.ts";
import { TwillError } from "../../common/errors.ts";
import { fromCallError } from "../../common/rpc/call-error.ts";
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
      const { pem } = await ask<EnrolmentClient, Authorities>(
        address,
        openEnrolment(address, blind),
        (client, done) => client.getAuthorities({}, new Metadata(), deadline(), done),
      );
      const pinned = pinnedAuthorities(pem, authority);
      if (pinned !== "") return pinned;
      const what = `${address} does not know the CA that the token names; it is not this cluster's`;
      throw new TwillError("UNAUTHENTICATED", what);
    },
    enrol({ parsed: { address }, text: token }, authoritiesPem, requestPem) {
      const trusted = credentials.createSsl(Buffer.from(authoritiesPem));
      return ask<EnrolmentClient, Enrolled>(
        address,
        openEnrolment(address, trusted),
        (client, done) => client.enrol({ token, requestPem }, new Metadata(), deadline(), done),
      );
    },
    async renew(controller, tls, requestPem) {
      const own = await readCredentials(tls);
      return ask<MembershipClient, Enrolled>(
        controller,
        new MembershipClient(`dns:${controller}`, own, CHANNEL_OPTIONS),
        (client, done) => client.renew({ requestPem }, new Metadata(), deadline(), done),
      );
    },
  };
}

function openEnrolment(address: string, channel: ChannelCredentials): EnrolmentClient {
  return new EnrolmentClient(`dns:${address}`, channel, CHANNEL_OPTIONS);
}

async function ask<C extends Client, Reply>(
  address: string,
  client: C,
  call: (client: C, done: (error: ServiceError | null, reply: Reply) => void) => ClientUnaryCall,
): Promise<Reply> {
  try {
    return await new Promise<Reply>((resolve, reject) => {
      call(client, (error, reply) => {
        if (error === null) resolve(reply);
        else reject(error);
      });
    });
  } catch (error) {
    throw fromCallError(error, address);
  } finally {
    client.close();
  }
}
