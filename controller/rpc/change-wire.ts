/** Administrators' changes on the wire: checked on the way in, plans in words on the way out. */
import { TwillError } from "../../common/errors.ts";
import { isName } from "../../common/identity/identity.ts";
import { parseIp } from "../../common/net/ip.ts";
import type {
  ChangePlan,
  NodePlan,
  ApplyRequest as WireApply,
  ChangeRequest as WireRequest,
} from "../../proto/gen/twill/v1/change.ts";
import type { Basis, ChangeRequest, Planned } from "../change/change.ts";

/** etcd's request limit is 1.5 MiB; a config has a few hundred characters. */
const MAX_CONFIG_LENGTH = 65_536;
/** A change of backend takes seconds; a node that is started anew meanwhile may be waited for. */
const ROLLOUT_MS = 120_000;
const MAX_SUBJECT_LENGTH = 300;

export function decodeChange(wire: WireRequest | undefined): ChangeRequest {
  const change = wire?.change;
  if (change === undefined) throw violation("it asks for no change that this version knows");
  switch (change.$case) {
    case "reserve": {
      const { what, publicIp } = change.value;
      return { kind: "reserve", what: subject(what), publicIp: optionalIp(publicIp) };
    }
    case "release":
      return { kind: "release", what: subject(change.value) };
    case "drain":
    case "undrain":
    case "remove":
      return { kind: change.$case, node: nodeName(change.value) };
    case "config":
      if (change.value.length > MAX_CONFIG_LENGTH) throw violation("the config is too long");
      return { kind: "config", json: change.value, timeoutMs: timeoutOf(wire) };
    case "configRollback":
      return { kind: "config-rollback", revision: change.value, timeoutMs: timeoutOf(wire) };
  }
}

export function decodeApply(wire: WireApply | undefined): {
  readonly request: ChangeRequest;
  readonly basis: readonly Basis[];
} {
  return { request: decodeChange(wire?.change), basis: wire?.basis ?? [] };
}

/** A refusal is an error; nothing to do is a plan without steps. */
export function planToWire(planned: Planned, nodes: readonly NodePlan[]): ChangePlan {
  switch (planned.kind) {
    case "refused":
      throw new TwillError(planned.code, planned.message);
    case "nothing":
      return { steps: [], warnings: [planned.reason], basis: [], nodes: [] };
    case "plan":
      return {
        steps: [...planned.steps],
        warnings: [...planned.warnings],
        basis: [...planned.basis],
        nodes: [...nodes],
      };
  }
}

function timeoutOf(wire: WireRequest | undefined): number {
  const given = wire?.timeoutMs ?? 0;
  return given === 0 ? ROLLOUT_MS : given;
}

function subject(text: string): string {
  if (text === "" || text.length > MAX_SUBJECT_LENGTH) throw violation("it names nothing");
  return text;
}

function nodeName(text: string): string {
  if (!isName(text)) throw new TwillError("OPTION_INVALID", `"${text}" is not a node's name`);
  return text;
}

function optionalIp(text: string) {
  if (text === "") return undefined;
  const ip = parseIp(text);
  if (ip === undefined) throw new TwillError("OPTION_INVALID", `"${text}" is not an address`);
  return ip;
}

function violation(what: string): TwillError {
  return new TwillError("PROTOCOL_VIOLATION", `the request cannot be read: ${what}`);
}
