/**
 * What a failed call to etcd means: which TwillError it is, whether another attempt may help,
 * whether the request surely did nothing, and whether it speaks against the endpoint. The
 * only place that reads message texts of etcd, grpc-js and TLS; each has a test with the
 * real text. etcd3 keeps of a status only "<number> <NAME>: <details>".
 */
import { type ErrorCode, TwillError } from "../../common/errors.ts";

export interface EtcdFault {
  readonly error: TwillError;
  /** Another attempt, elsewhere or later, may succeed. */
  readonly retry: boolean;
  /** The request never reached the store's log: a write may be repeated. */
  readonly unsent: boolean;
  /** Another endpoint should be tried first. */
  readonly blame: boolean;
  /** The user's token is no longer valid. */
  readonly staleToken: boolean;
  /** etcd did nothing for us and would not have for any request. */
  readonly outage: boolean;
  /** Certificates were refused: perhaps the files have been renewed since they were read. */
  readonly tls: boolean;
}

type Traits = Omit<EtcdFault, "error">;

interface Rule {
  /** gRPC status number; undefined: any. */
  readonly status?: number;
  readonly text?: RegExp;
  /** Of the endpoint's URL; undefined: any. */
  readonly endpoint?: RegExp;
  readonly code: ErrorCode;
  readonly traits: Traits;
  /** The way out, for the operator. */
  readonly hint?: string;
}

const NONE: Traits = {
  retry: false,
  unsent: false,
  blame: false,
  staleToken: false,
  outage: false,
  tls: false,
};
/** Refused before anything was done; asking again changes nothing. */
const FINAL: Traits = { ...NONE, unsent: true };
/** Nothing known of the outcome; try elsewhere. */
const LOST: Traits = { ...NONE, retry: true, blame: true, outage: true };
/** The connection never came to be, so the request never left. */
const UNSENT: Traits = { ...LOST, unsent: true };

/** Refused for the token, which was good once: fetch another. */
const STALE: Traits = {
  ...NONE,
  retry: true,
  unsent: true,
  staleToken: true,
};

const TLS_TEXT =
  /certificate|SSL routines|ERR_TLS|ERR_SSL|wrong version number|secure TLS connection/i;

/** First match wins. */
const RULES: readonly Rule[] = [
  {
    status: 14,
    text: TLS_TEXT,
    code: "STORE_UNAVAILABLE",
    traits: { ...UNSENT, tls: true },
    hint: "TLS failed: check --etcd-cafile, --etcd-certfile, --etcd-keyfile, the names in etcd's certificate, and that this port speaks TLS",
  },
  {
    status: 14,
    // A plain port answers a ClientHello with garbage and hangs up: which of the two is met first,
    // the garbage (above) or the reset, is a race.
    text: /No connection established\. Last error: (Failed to connect|.*(ECONNRESET|socket hang up))/,
    endpoint: /^https:/,
    code: "STORE_UNAVAILABLE",
    traits: { ...UNSENT, tls: true },
    hint: "the connection was closed before TLS was agreed: check that this port speaks TLS, and the certificates on both sides",
  },
  {
    status: 14,
    // grpc-js says no more than this when the peer hangs up on the HTTP/2 preface.
    text: /No connection established\. Last error: Failed to connect/,
    code: "STORE_UNAVAILABLE",
    traits: UNSENT,
    hint: "the connection was closed at once: if this port speaks TLS, write https:// and give --etcd-cafile",
  },
  {
    status: 14,
    // The last: etcd3 closes a host's channel when another call of it fails.
    text: /No connection established|Name resolution failed|Channel closed before call started/,
    code: "STORE_UNAVAILABLE",
    traits: UNSENT,
  },
  // Leader changed, no leader, request timed out, connection dropped: applied or not.
  { status: 14, code: "STORE_UNAVAILABLE", traits: LOST },
  { status: 4, code: "STORE_UNAVAILABLE", traits: LOST },
  // etcd 3.4 answers linearizable reads and lease calls so while it has no leader.
  {
    status: 2,
    text: /context deadline exceeded/,
    code: "STORE_UNAVAILABLE",
    traits: LOST,
    hint: "etcd has no leader",
  },
  { status: 2, code: "STORE_UNAVAILABLE", traits: LOST },
  { status: 1, code: "STORE_UNAVAILABLE", traits: LOST },
  // RST_STREAM of a proxy or a dying server.
  { status: 13, code: "STORE_UNAVAILABLE", traits: LOST },
  {
    status: 12,
    code: "STORE_UNAVAILABLE",
    traits: UNSENT,
    hint: "this is no etcd with the v3 API",
  },
  {
    status: 8,
    text: /database space exceeded/,
    code: "STORE_FULL",
    traits: FINAL,
    hint: "compact and defragment etcd, raise --quota-backend-bytes, then `etcdctl alarm disarm`",
  },
  { status: 8, text: /too many requests/, code: "STORE_UNAVAILABLE", traits: UNSENT },
  { status: 8, code: "BUG", traits: FINAL },
  {
    status: 16,
    text: /invalid auth token/,
    code: "STORE_DENIED",
    traits: STALE,
  },
  {
    text: /revision of auth store is old|revision in header is old/,
    code: "STORE_DENIED",
    traits: STALE,
  },
  {
    text: /user name is empty/,
    code: "STORE_DENIED",
    traits: STALE,
    hint: "etcd has authentication enabled: give --etcd-username and --etcd-password, or a client certificate whose CN is an etcd user",
  },
  {
    text: /authentication failed, invalid user ID or password/,
    code: "STORE_DENIED",
    traits: { ...FINAL, outage: true },
    hint: "check --etcd-username and --etcd-password",
  },
  {
    text: /permission denied/,
    code: "STORE_DENIED",
    traits: FINAL,
    hint: "the etcd user needs read and write on the whole prefix: `etcdctl role grant-permission ROLE --prefix=true readwrite PREFIX/`",
  },
  {
    status: 11,
    text: /has been compacted/,
    code: "STORE_COMPACTED",
    traits: FINAL,
  },
  // A member that lags behind, or an etcd that was restored from a backup.
  {
    status: 11,
    text: /is a future revision/,
    code: "STORE_COMPACTED",
    traits: { ...UNSENT, outage: false },
  },
  { status: 5, text: /lease not found/, code: "LEASE_LOST", traits: FINAL },
  { status: 3, code: "BUG", traits: FINAL },
];

/** The meaning of what a call to `endpoint` threw. */
export function etcdFault(thrown: unknown, endpoint: string): EtcdFault {
  if (thrown instanceof TwillError) return { ...NONE, error: thrown };
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const status = /^(\d+) [A-Z_]+: ([\s\S]*)$/.exec(text);
  if (status === null) return { ...NONE, error: TwillError.from(thrown) };
  return faultOf(Number(status[1]), status[2] ?? "", { endpoint, cause: thrown });
}

/** etcd refuses a user because it asks nobody for one. */
export function isAuthDisabled(thrown: unknown): boolean {
  return thrown instanceof Error && /authentication is not enabled/.test(thrown.message);
}

/** The meaning of the reason a watch was cancelled for ("" when etcd gives none). */
export function cancelFault(reason: string, endpoint: string): EtcdFault {
  // Go's rendering of a status: "rpc error: code = PermissionDenied desc = etcdserver: …".
  const rendered = /^rpc error: code = (\w+) desc = ([\s\S]*)$/.exec(reason);
  const status = GO_STATUS[rendered?.[1] ?? ""];
  const details = rendered?.[2] ?? `watch cancelled: ${reason === "" ? "no reason given" : reason}`;
  return faultOf(status ?? 14, details, { endpoint });
}

const GO_STATUS: Readonly<Record<string, number>> = {
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  OutOfRange: 11,
  Unavailable: 14,
  Unauthenticated: 16,
};

interface Origin {
  readonly endpoint: string;
  readonly cause?: unknown;
}

function faultOf(status: number, details: string, origin: Origin): EtcdFault {
  const rule = RULES.find(
    (each) =>
      (each.status === undefined || each.status === status) &&
      (each.text === undefined || each.text.test(details)) &&
      (each.endpoint === undefined || each.endpoint.test(origin.endpoint)),
  );
  const what = `etcd at ${origin.endpoint}: ${readable(details)}`;
  const message = rule?.hint === undefined ? what : `${what} (${rule.hint})`;
  const error = new TwillError(rule?.code ?? "BUG", message, {
    cause: origin.cause,
    context: { endpoint: origin.endpoint, grpc_status: status },
  });
  return { ...(rule?.traits ?? NONE), error };
}

/** grpc-js adds a line break, a date and an empty note to connection errors. */
function readable(details: string): string {
  return details
    .replace(/^etcd(server)?: /, "")
    .replace(/ Resolution note: ?$/, "")
    .replaceAll(/\s*\(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, "")
    .replaceAll(/\s+/g, " ")
    .replace(/\.$/, "")
    .trim();
}
