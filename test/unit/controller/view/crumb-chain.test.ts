/** The shared history: its ends, its bounds, and what it knows of a revision. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CrumbChain } from "../../../../controller/view/crumb-chain.ts";
import {
  type LeaseRow,
  type TableChange,
  tableChange,
} from "../../../../controller/view/table-change.ts";
import { subnetsOf, vxlanAttrs } from "../../../support/lease-texts.ts";

function change(
  revision: number,
  upserts: readonly LeaseRow[],
  removes: string[] = [],
): TableChange {
  return tableChange(revision, { upserts, removes });
}

function row(key: string, size: number): LeaseRow {
  const lease = { key, subnets: subnetsOf(key), attrs: vxlanAttrs("10.99.0.2"), node: "" };
  const bytes = new Uint8Array(size);
  return { lease, etcdLease: "77", createRevision: 1, modRevision: 1, bytes };
}

const ROW = row("10.5.1.0-24", 100);

function chainOf(count: number, limits = { maxCrumbs: 1000, maxBytes: 1_000_000 }): CrumbChain {
  const chain = new CrumbChain({ revision: 100, digest: 0n }, limits);
  for (let n = 1; n <= count; n += 1) chain.append(change(100 + 10 * n, [ROW]), BigInt(n));
  return chain;
}

describe("the crumb chain", () => {
  it("keeps a crumb per revision that changed leases, and moves on without one otherwise", () => {
    const chain = chainOf(2);
    chain.append(change(125, []), 2n);
    assert.equal(chain.length, 3);
    assert.equal(chain.head.revision, 120);
    assert.equal(chain.newestRevision, 125);
  });

  it("knows the digest at any revision between its ends", () => {
    const chain = chainOf(3);
    chain.append(change(145, []), 3n);
    const digests = [99, 100, 109, 110, 115, 129, 130, 145, 146].map(
      (revision) => chain.atRevision(revision)?.digest,
    );
    assert.deepEqual(digests, [undefined, 0n, 0n, 1n, 1n, 2n, 3n, 3n, undefined]);
  });

  it("is bounded by count, give or take a sixteenth", () => {
    const chain = chainOf(500, { maxCrumbs: 64, maxBytes: 1_000_000 });
    assert.ok(chain.length >= 64 && chain.length <= 68, String(chain.length));
    assert.equal(chain.head.digest, 500n);
    assert.equal(chain.at(chain.head.sequence), chain.head);
    assert.equal(chain.at(chain.tail.sequence - 1), undefined);
    assert.equal(chain.atRevision(chain.tail.revision - 1), undefined);
  });

  it("is bounded by bytes, but never loses its head", () => {
    const chain = chainOf(500, { maxCrumbs: 1000, maxBytes: 1000 });
    assert.equal(chain.length, 10);
    chain.append(change(9000, [row("10.5.2.0-24", 5000)]), 9n);
    assert.equal(chain.length, 1);
    assert.equal(chain.head.digest, 9n);
  });

  it("makes every place invalid when history went back", () => {
    const chain = chainOf(3);
    const place = chain.head.sequence;
    chain.reset({ revision: 50, digest: 7n });
    assert.equal(chain.at(place), undefined);
    assert.equal(chain.head.revision, 50);
    assert.equal(chain.atRevision(110), undefined);
    assert.equal(chain.atRevision(50)?.digest, 7n);
    for (let n = 1; n <= 5; n += 1) chain.append(change(50 + n, [ROW]), BigInt(n));
    assert.equal(chain.at(place), undefined, "nor when the new history is as long");
  });
});
