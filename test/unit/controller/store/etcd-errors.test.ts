/** Each text that is matched, as etcd 3.4.23, grpc-js 1.14 and Node 20 really say it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TwillError } from "../../../../common/errors.ts";
import {
  cancelFault,
  type EtcdFault,
  etcdFault,
  isAuthDisabled,
} from "../../../../controller/store/etcd-errors.ts";

const ENDPOINT = "http://10.0.0.1:2379";
const fault = (text: string): EtcdFault => etcdFault(new Error(text), ENDPOINT);
const NO_CONNECTION = "14 UNAVAILABLE: No connection established. Last error: ";

/** The traits of a fault, as a row to read. */
function row({ error, ...traits }: EtcdFault): string {
  const on = Object.entries(traits).filter(([, isOn]) => isOn);
  return [error.code, ...on.map(([name]) => name)].join(" ");
}

describe("a fault of etcd", () => {
  const rows: readonly (readonly [text: string, expected: string])[] = [
    [
      `${NO_CONNECTION}Error: connect ECONNREFUSED 127.0.0.1:19999. Resolution note: `,
      "STORE_UNAVAILABLE retry unsent blame outage",
    ],
    [
      "14 UNAVAILABLE: Name resolution failed for target dns:nosuch.invalid:2379",
      "STORE_UNAVAILABLE retry unsent blame outage",
    ],
    [
      "14 UNAVAILABLE: Channel closed before call started",
      "STORE_UNAVAILABLE retry unsent blame outage",
    ],
    ["14 UNAVAILABLE: read ECONNRESET", "STORE_UNAVAILABLE retry blame outage"],
    ["14 UNAVAILABLE: Connection dropped", "STORE_UNAVAILABLE retry blame outage"],
    ["14 UNAVAILABLE: etcd: leader changed", "STORE_UNAVAILABLE retry blame outage"],
    ["14 UNAVAILABLE: etcd: no leader", "STORE_UNAVAILABLE retry blame outage"],
    ["14 UNAVAILABLE: etcd: request timed out", "STORE_UNAVAILABLE retry blame outage"],
    ["2 UNKNOWN: context deadline exceeded", "STORE_UNAVAILABLE retry blame outage"],
    [
      "4 DEADLINE_EXCEEDED: Deadline exceeded after 2.000s,name resolution: 0.001s,Waiting for LB pick",
      "STORE_UNAVAILABLE retry blame outage",
    ],
    ["13 INTERNAL: Received RST_STREAM with code 2", "STORE_UNAVAILABLE retry blame outage"],
    ["1 CANCELLED: Cancelled on client", "STORE_UNAVAILABLE retry blame outage"],
    [
      "12 UNIMPLEMENTED: unknown service etcdserverpb.KV",
      "STORE_UNAVAILABLE retry unsent blame outage",
    ],
    [
      "8 RESOURCE_EXHAUSTED: etcd: too many requests",
      "STORE_UNAVAILABLE retry unsent blame outage",
    ],
    ["8 RESOURCE_EXHAUSTED: etcd: mvcc: database space exceeded", "STORE_FULL unsent"],
    [
      "8 RESOURCE_EXHAUSTED: grpc: received message larger than max (2900008 vs. 2097152)",
      "BUG unsent",
    ],
    ["3 INVALID_ARGUMENT: etcd: too many operations in txn request", "BUG unsent"],
    ["3 INVALID_ARGUMENT: etcd: duplicate key given in txn request", "BUG unsent"],
    ["3 INVALID_ARGUMENT: etcd: request is too large", "BUG unsent"],
    ["3 INVALID_ARGUMENT: etcd: user name is empty", "STORE_DENIED retry unsent staleToken"],
    [
      "3 INVALID_ARGUMENT: etcd: authentication failed, invalid user ID or password",
      "STORE_DENIED unsent outage",
    ],
    [
      "3 INVALID_ARGUMENT: etcd: revision of auth store is old",
      "STORE_DENIED retry unsent staleToken",
    ],
    ["16 UNAUTHENTICATED: etcd: invalid auth token", "STORE_DENIED retry unsent staleToken"],
    ["7 PERMISSION_DENIED: etcd: permission denied", "STORE_DENIED unsent"],
    ["11 OUT_OF_RANGE: etcd: mvcc: required revision has been compacted", "STORE_COMPACTED unsent"],
    [
      "11 OUT_OF_RANGE: etcd: mvcc: required revision is a future revision",
      "STORE_COMPACTED retry unsent blame",
    ],
    ["5 NOT_FOUND: etcd: requested lease not found", "LEASE_LOST unsent"],
    ["Tried to call a KV method on etcd3, but the client was already closed", "BUG"],
  ];
  for (const [text, expected] of rows) {
    it(`is ${expected} for "${text}"`, () => {
      assert.equal(row(fault(text)), expected);
    });
  }

  const tlsTexts: readonly string[] = [
    `${NO_CONNECTION}Error: unable to verify the first certificate. Resolution note: `,
    `${NO_CONNECTION}802C45D21F7F0000:error:0A000412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1601:SSL alert number 42\n (2026-11-22T20:38:26.762Z). Resolution note: `,
    `${NO_CONNECTION}Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list: . Resolution note: `,
    `${NO_CONNECTION}Error: Client network socket disconnected before secure TLS connection was established. Resolution note: `,
    `${NO_CONNECTION}Error: certificate has expired. Resolution note: `,
  ];
  for (const text of tlsTexts) {
    it(`is recognisable as TLS for "${text.slice(57, 110)}…"`, () => {
      assert.equal(row(fault(text)), "STORE_UNAVAILABLE retry unsent blame outage tls");
      assert.match(fault(text).error.message, /TLS failed: check --etcd-cafile/);
    });
  }

  it("hints at TLS when the port hangs up on plain HTTP", () => {
    const { error } = fault(
      `${NO_CONNECTION}Failed to connect (2026-11-22T20:38:26.798Z). Resolution note: `,
    );
    assert.match(error.message, /if this port speaks TLS, write https:/);
  });

  for (const last of ["Error: read ECONNRESET", "Error: socket hang up", "Failed to connect"]) {
    it(`is TLS that was cut short for "${last}" at an https endpoint, and only there`, () => {
      const text = `14 UNAVAILABLE: No connection established. Last error: ${last}. Resolution note: `;
      const tls = etcdFault(new Error(text), "https://etcd:2379");
      assert.equal(row(tls), "STORE_UNAVAILABLE retry unsent blame outage tls");
      assert.match(tls.error.message, /closed before TLS .* that this port speaks TLS/);
      assert.equal(etcdFault(new Error(text), "http://etcd:2379").tls, false);
    });
  }

  it("names the endpoint and says what etcd said, without grpc-js' ornaments", () => {
    const { error } = fault(
      `${NO_CONNECTION}Error: connect ECONNREFUSED 10.0.0.1:2379. Resolution note: `,
    );
    assert.equal(
      error.message,
      `etcd at ${ENDPOINT}: No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.1:2379`,
    );
    assert.deepEqual(error.context, { endpoint: ENDPOINT, grpc_status: 14 });
  });

  it("tells the operator the way out of a full store and of missing rights", () => {
    assert.match(
      fault("8 RESOURCE_EXHAUSTED: etcd: mvcc: database space exceeded").error.message,
      /compact and defragment etcd.*alarm disarm/,
    );
    assert.match(
      fault("7 PERMISSION_DENIED: etcd: permission denied").error.message,
      /etcdctl role grant-permission/,
    );
  });

  it("lets a TwillError pass as it is", () => {
    const error = new TwillError("SHUTTING_DOWN", "enough");
    assert.equal(etcdFault(error, ENDPOINT).error, error);
  });

  it("reads the reason of a cancelled watch as Go writes it", () => {
    const reason = (name: string, text: string): string =>
      `rpc error: code = ${name} desc = ${text}`;
    const cases: readonly (readonly [string, string])[] = [
      [reason("PermissionDenied", "etcdserver: permission denied"), "STORE_DENIED unsent"],
      [
        reason("InvalidArgument", "etcdserver: user name is empty"),
        "STORE_DENIED retry unsent staleToken",
      ],
      [
        reason("Unauthenticated", "etcdserver: invalid auth token"),
        "STORE_DENIED retry unsent staleToken",
      ],
      ["", "STORE_UNAVAILABLE retry blame outage"],
      ["something new", "STORE_UNAVAILABLE retry blame outage"],
    ];
    for (const [text, expected] of cases) assert.equal(row(cancelFault(text, ENDPOINT)), expected);
  });

  it("recognises an etcd that has no authentication", () => {
    const text = "9 FAILED_PRECONDITION: etcd: authentication is not enabled";
    assert.equal(isAuthDisabled(new Error(text)), true);
    assert.equal(isAuthDisabled(new Error("7 PERMISSION_DENIED: etcd: permission denied")), false);
  });
});
