/**
 * What people install, on machines with systemd: docs/install.md word by word, then what
 * administrators do to it, and at the end nothing of it is left.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "../../scripts/testbed/command.ts";
import { readGuide } from "../support/guide.ts";
import { Fleet } from "../support/package/fleet.ts";
import { contentsOf, difference } from "../support/package/machine-contents.ts";
import { SystemdMachine } from "../support/systemd-machine.ts";
import { until } from "../support/until.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const AGENT = "twill-agent.service";
const CONTROLLER = "twill-controller.service";
const SLOW = { timeoutMs: 300_000 };

const why = await SystemdMachine.missing();

describe("the Debian package", why === undefined ? {} : { skip: why }, () => {
  it("leads by docs/install.md to pods that ping, and goes without a trace", async (t) => {
    const shared = mkdtempSync(join(tmpdir(), "twill-fleet-"));
    t.after(() => rmSync(shared, { recursive: true, force: true }));
    const [fleet] = await Promise.all([Fleet.boot(t, shared), makePackages(shared)]);
    const beta = fleet.machine("beta");
    for (const name of ["alpha", "beta"]) {
      await fleet.machine(name).shell("cp /mnt/shared/twill_*-1_*.deb .");
    }
    const before = await contentsOf(beta);

    await t.test("every command of the guide does what the guide says", () =>
      follow(t, fleet, "install.md"),
    );

    await t.test("one line of systemctl status says how each daemon is", async () => {
      const machine = fleet.machine("alpha");
      await machine.untilProperty(
        CONTROLLER,
        "StatusText",
        /^leads; 2 nodes here, 2 leases; ready$/,
      );
      await machine.untilProperty(AGENT, "StatusText", /^ready$/);
    });

    await t.test("every command of docs/operations.md does what it says", () =>
      follow(t, fleet, "operations.md"),
    );

    await t.test("a reload reads the files again in the same process", async () => {
      const machine = fleet.machine("alpha");
      for (const unit of [CONTROLLER, AGENT]) {
        const pid = await machine.property(unit, "MainPID");
        await machine.run("systemctl", "reload", unit);
        await until(`${unit} has said so`, async () =>
          (await machine.run("journalctl", "-o", "cat", "-u", unit)).includes("process.reloading"),
        );
        assert.equal(await machine.property(unit, "MainPID"), pid);
      }
    });

    await t.test("a daemon that is killed comes back by itself", async () => {
      const machine = fleet.machine("alpha");
      for (const unit of [CONTROLLER, AGENT]) {
        await machine.run("systemctl", "kill", "--signal=KILL", unit);
        await machine.untilProperty(unit, "NRestarts", /^[1-9]/);
        await machine.untilProperty(unit, "ActiveState", /^active$/);
      }
    });

    await t.test("a daemon that hangs is not fed any more, and systemd restarts it", async () => {
      const restarts = Number(await beta.property(AGENT, "NRestarts"));
      const quick = "/run/systemd/system/twill-agent.service.d";
      await beta.shell(
        `mkdir -p ${quick}; printf '[Service]\\nWatchdogSec=4s\\nTimeoutAbortSec=1s\\n' > ${quick}/quick.conf`,
      );
      await beta.run("systemctl", "daemon-reload");
      await beta.run("systemctl", "restart", AGENT);
      await beta.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", AGENT);
      await beta.untilProperty(AGENT, "NRestarts", new RegExp(`^(?!${restarts}$)`));
      await beta.untilProperty(AGENT, "ActiveState", /^active$/);
      await beta.shell(`rm -r ${quick}; systemctl daemon-reload; systemctl restart ${AGENT}`);
    });

    await t.test("an upgrade loses no packet and restarts what ran", async () => {
      const pid = await beta.property(AGENT, "MainPID");
      const pings = await pinging(beta);
      await beta.shell("apt-get install -y /mnt/shared/twill_*-2_*.deb");
      await until(
        "the agent runs anew",
        async () => (await beta.property(AGENT, "MainPID")) !== pid,
      );
      await beta.untilProperty(AGENT, "ActiveState", /^active$/);
      assert.deepEqual(await pings.lost(), []);
      assert.match(await beta.run("dpkg-query", "-W", "twill"), /-2$/m);
      await beta.run("grep", "192.0.2.11", "/etc/twill/agent.env");
    });

    await t.test("purging leaves the machine as it was, but for the user", async () => {
      await beta.shell("./pod DEL web; ip link del cni0; rm -r /var/lib/cni; rm -f pod twill_*");
      await beta.shell("apt-get purge -y twill");
      const after = await contentsOf(beta);
      assert.deepEqual(difference(before.kernel, after.kernel), []);
      const left = difference(before.files, after.files);
      assert.deepEqual(
        left.filter((line) => !isOfOthers(line)),
        [],
      );
      assert.match(await beta.run("getent", "passwd", "twill"), /nologin/);
    });
  });
});

async function follow(t: TestContext, fleet: Fleet, guide: string): Promise<void> {
  for (const { heading, machines, script } of readGuide(guide)) {
    for (const name of machines) {
      t.diagnostic(`${heading}: ${name}`);
      await fleet.machine(name).shell(script);
      await fleet.deliver();
    }
  }
}

/** The package, and the same with the next revision: newer in dpkg's eyes. */
async function makePackages(folder: string): Promise<void> {
  const main = join(ROOT, "dist/scripts/packaging/main.js");
  const made = await run(
    [process.execPath, main, "--only", "deb", "--compress", "none", "--out", folder],
    SLOW,
  );
  const first = made.trim();
  const tree = join(folder, "again");
  await run(["dpkg-deb", "--raw-extract", first, tree], SLOW);
  const control = join(tree, "DEBIAN/control");
  writeFileSync(control, readFileSync(control, "utf8").replace(/^(Version: .*)-1$/m, "$1-2"));
  const second = first.replace("-1_", "-2_");
  await run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, second], SLOW);
  rmSync(tree, { recursive: true });
}

/** Pings from beta's pod to alpha's every 20 ms; `lost` ends them. */
async function pinging(beta: SystemdMachine): Promise<{ lost: () => Promise<string[]> }> {
  const target =
    '$(ip route show dev flannel.1 | awk -F. \'{ print $1 "." $2 "." $3 ".2"; exit }\')';
  await beta.shell(
    `systemd-run --unit=pinging --collect ip netns exec web ping -n -i 0.02 -D -O ${target}; sleep 0.2`,
  );
  return {
    lost: async () => {
      const said = await beta.shell(
        "systemctl kill --signal=INT pinging; journalctl --no-pager -o cat -u pinging",
      );
      assert.ok(said.split("\n").filter((line) => line.includes("bytes from")).length > 20, said);
      return said.split("\n").filter((line) => /no answer|unreachable/i.test(line));
    },
  };
}

/** Written by systemd and Debian's own tools at any installation. */
function isOfOthers(line: string): boolean {
  return /^[+-] \/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-?$|ld\.so|\/etc\/\.pwd\.lock|machine-id|PackageKit/.test(
    line,
  );
}
