/** The key file: made once, read ever after, never overwritten. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { loadWireguardKey } from "../../../../agent/host/wireguard-key.ts";

const folder = mkdtempSync(join(tmpdir(), "wgkey-"));
after(() => rmSync(folder, { recursive: true }));

describe("the WireGuard key file", () => {
  it("is made when it is missing, with its folder, for root's eyes only", async () => {
    const path = join(folder, "flannel", "wgkey");
    const made = await loadWireguardKey(path);
    assert.equal(statSync(path).mode & 0o777, 0o400);
    assert.equal(readFileSync(path, "utf8"), `${made.privateKey.reveal()}\n`);
    const again = await loadWireguardKey(path);
    assert.equal(again.publicKey, made.publicKey);
    assert.equal(again.privateKey.reveal(), made.privateKey.reveal());
  });

  it("gives the public key that wg pubkey gives", async () => {
    const path = join(folder, "known");
    writeFileSync(path, "kCSi6r43wk7d+sTy6OCEyc2nS8YadfciuRFQql68pko=\n");
    const { publicKey } = await loadWireguardKey(path);
    assert.equal(publicKey, "PCAI8M93Jw+KCBVKn1wBNAZwh31WR1bcNazvJGT16AQ=");
  });

  it("is named when it holds something else, and left as it is", async () => {
    const path = join(folder, "broken");
    writeFileSync(path, "not a key\n");
    await assert.rejects(loadWireguardKey(path), /broken holds no WireGuard key.*wg genkey/);
    assert.equal(readFileSync(path, "utf8"), "not a key\n");
  });
});
