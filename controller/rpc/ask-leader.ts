/** Passes an administrator's change on to whoever leads: rare, so each gets its own connection. */
import { type ChannelCredentials, Metadata } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { onlyCall } from "../../common/rpc/unary-call.ts";
import {
  type Applied,
  type LeaderApplyRequest,
  LeaderChangeClient,
} from "../../proto/gen/twill/v1/change.ts";
import type { ChangeDesk } from "../change/change-desk.ts";
import { applyHere } from "./change-service.ts";
import { REPLICA_CHANNEL } from "./replica-channel.ts";

const DEADLINE_MS = 12_000;

export interface AskLeaderParts {
  /** This replica's own "host:port". */
  readonly self: string;
  /** "host:port" of the leader now; empty: nobody leads. */
  readonly leader: () => string;
  readonly desk: ChangeDesk;
  readonly credentials: () => ChannelCredentials;
  readonly wallMs: () => number;
}

export async function askLeader(
  parts: AskLeaderParts,
  request: LeaderApplyRequest,
  signal: AbortSignal,
): Promise<Applied> {
  const address = parts.leader();
  if (address === "") throw new TwillError("NOT_LEADER", "no controller leads at the moment");
  if (address === parts.self) return applyHere(parts.desk, request, signal);
  const client = new LeaderChangeClient(address, parts.credentials(), REPLICA_CHANNEL);
  const options = { deadline: parts.wallMs() + DEADLINE_MS };
  return onlyCall<Applied>(client, address, (done) =>
    client.apply(request, new Metadata(), options, done),
  );
}
