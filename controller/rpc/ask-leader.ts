/** Passes an administrator's change on to whoever leads: rare, so each gets its own connection. */
import { type ChannelCredentials, Metadata } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { fromCallError } from "../../common/rpc/call-error.ts";
import {
  type Applied,
  type LeaderApplyRequest,
  LeaderChangeClient,
} from "../../proto/gen/twill/v1/change.ts";
import type { ChangeDesk } from "../change/change-desk.ts";
import { applyHere } from "./change-service.ts";

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
  const client = new LeaderChangeClient(address, parts.credentials(), {
    "grpc.enable_channelz": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
  });
  const options = { deadline: parts.wallMs() + DEADLINE_MS };
  try {
    return await new Promise<Applied>((resolve, reject) => {
      client.apply(request, new Metadata(), options, (error, reply) => {
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
