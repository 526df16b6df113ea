/** The sending itself: a child process named systemd-notify gets the words and the socket. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../../common/async/clock.ts";
import { Systemd } from "../../../common/systemd.ts";
import { LogCapture } from "../../support/log-capture.ts";

describe("systemd-notify", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "twill-notify-"));
  });
  after(() => rm(folder, { recursive: true }));

  function systemd(log: LogCapture): Systemd {
    return new Systemd({
      env: { PATH: `${folder}:/usr/bin:/bin`, NOTIFY_SOCKET: "/run/x", SECRET: "no" },
      pid: process.pid,
      clock: systemClock,
      logger: log,
      isLive: () => true,
    });
  }

  it("gets the assignments and nothing of our environment but the socket", async () => {
    const program = join(folder, "systemd-notify");
    await writeFile(program, `#!/bin/sh\n{ echo "$@"; env; } > ${folder}/said\n`);
    await chmod(program, 0o755);
    const log = new LogCapture();
    await systemd(log).stopping();
    const said = await readFile(join(folder, "said"), "utf8");
    assert.match(said, /^STOPPING=1\n/);
    assert.match(said, /^NOTIFY_SOCKET=\/run\/x$/m);
    assert.doesNotMatch(said, /SECRET/);
    assert.deepEqual(log.all, []);
  });

  it("that fails is logged with its words", async () => {
    const program = join(folder, "systemd-notify");
    await writeFile(program, "#!/bin/sh\necho no such socket >&2; exit 1\n");
    const log = new LogCapture();
    await systemd(log).stopping();
    assert.match(String(log.of("notify.failed")[0]?.fields["error"]), /no such socket/);
  });
});
