/** A machine becomes a node once, and stays one. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Membership } from "../../../../agent/membership/membership.ts";
import { MembershipFiles } from "../../../../agent/membership/membership-files.ts";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { formatJoinToken } from "../../../../common/enrolment/join-token.ts";
import { TwillError } from "../../../../common/errors.ts";
import { createAuthority, type KeyPair, signRequest } from "../../../../common/pki/authority.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { until } from "../../../support/until.ts";

const TOKEN = formatJoinToken({
  ...{ invite: "0123456789abcdef", secret: "s".repeat(43), authority: "a".repeat(43) },
  address: "c1:7475",
});
const HOUR_MS = 3_600_000;
const DAYS = 1;

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly log = new LogCapture();
  readonly asked: string[] = [];
  readonly membership: Membership;
  readonly files: MembershipFiles;
  token: string | undefined = TOKEN;
  fault: TwillError | undefined;
  readonly #folder: string;
  readonly #group = new TaskGroup();

  private constructor(folder: string, authority: KeyPair) {
    this.#folder = folder;
    this.files = new MembershipFiles(folder);
    const sign = async (how: string, requestPem: string) => {
      this.asked.push(how);
      if (this.fault !== undefined) throw this.fault;
      const certificatePem = await signRequest(authority, requestPem, {
        identity: { role: "node", trustDomain: "twill", name: "n1" },
        altNames: { dns: [], ip: [] },
        validity: { nowMs: this.clock.wallMs(), days: DAYS },
      });
      return { certificatePem, authoritiesPem: authority.certificatePem };
    };
    this.membership = new Membership({
      ...{ node: "n1", files: this.files, clock: this.clock, log: this.log },
      random: () => 0,
      controllers: ["c1:7474", "c2:7474"],
      readToken: async () => this.token,
      calls: {
        authorities: async () => authority.certificatePem,
        enrol: (_token, _authorities, requestPem) => sign("enrol", requestPem),
        renew: (controller, _tls, requestPem) => sign(controller, requestPem),
      },
    });
  }

  static async start(prepare?: (scene: Scene) => Promise<void>): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), "twill-membership-"));
    const clock = new ManualClock();
    const authority = await createAuthority("twill", { nowMs: clock.wallMs(), days: 9 });
    const scene = new Scene(folder, authority);
    await prepare?.(scene);
    scene.#group.spawn((signal) => scene.membership.run(signal));
    return scene;
  }

  async heard(name: "membership.joined" | "membership.renewed" | "membership.failed", times = 1) {
    await until(`${times} ${name}`, () => this.log.of(name).length >= times);
  }

  async modes(): Promise<Record<string, string>> {
    const folder = join(this.#folder, "membership");
    const modes: Record<string, string> = {};
    for (const name of await readdir(folder)) {
      modes[name] = ((await stat(join(folder, name))).mode & 0o777).toString(8);
    }
    return modes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join().catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

describe("a membership", () => {
  it("begins by the token, keeps its secrets to itself, and is renewed after two thirds", async () => {
    await using scene = await Scene.start();
    await scene.heard("membership.joined");
    await scene.membership.joined(new AbortController().signal);
    assert.deepEqual(await scene.modes(), {
      ...{ "ca.crt": "644", "next.key": "600", "node.pem": "600" },
    });
    scene.token = undefined;
    for (let hours = 0; hours < 15; hours += 1) await scene.clock.advance(HOUR_MS);
    assert.deepEqual(scene.asked, ["enrol"], "not before two thirds of a day");
    for (let hours = 0; hours < 2; hours += 1) await scene.clock.advance(HOUR_MS);
    await scene.heard("membership.renewed");
    assert.deepEqual(scene.asked, ["enrol", "c1:7474"]);
  });

  it("needs no token any more when the agent is started again", async () => {
    await using first = await Scene.start();
    await first.heard("membership.joined");
    const held = await first.files.certificate();
    await using again = await Scene.start(async (scene) => {
      scene.token = undefined;
      await scene.files.keep(held ?? "", "", "");
    });
    await again.membership.joined(new AbortController().signal);
    assert.deepEqual(again.asked, []);
  });

  it("asks again for the same key when an answer was lost", async () => {
    await using scene = await Scene.start(async (one) => {
      one.fault = new TwillError("CONTROLLER_UNAVAILABLE", "gone in the middle");
    });
    await scene.heard("membership.failed");
    const key = await scene.files.nextKey();
    scene.fault = undefined;
    await until("it has joined", async () => {
      await scene.clock.advance(60_000);
      return scene.log.of("membership.joined").length > 0;
    });
    assert.equal(await scene.files.nextKey(), key);
    assert.ok((await scene.files.certificate())?.includes(key ?? "?"));
  });

  it("says what to do when there is no token, and takes one that comes later", async () => {
    await using scene = await Scene.start(async (one) => {
      one.token = undefined;
    });
    await scene.heard("membership.failed");
    assert.match(scene.log.of("membership.failed")[0]?.message ?? "", /twillctl node invite n1/);
    scene.token = TOKEN;
    await until("it has joined", async () => {
      await scene.clock.advance(60_000);
      return scene.log.of("membership.joined").length > 0;
    });
  });
});
