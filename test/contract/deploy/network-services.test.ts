/**
 * The drop-ins that keep systemd-networkd, udev and NetworkManager away from the tunnels. The
 * first is judged by the real systemd-networkd in a namespace; of the others no real one is
 * here, so their syntax and the names they match are.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const DEPLOY = fileURLToPath(new URL("../../../../deploy/", import.meta.url));
const NETWORKD = "/lib/systemd/systemd-networkd";
/** Every device that a backend may make (docs/backends.md), and the CNI plugins' bridge. */
const DEVICES = [
  ...["flannel.1", "flannel.4096", "flannel-v6.1", "flannel.ipip", "flannel0"],
  ...["flannel-wg", "flannel-wg-v6", "cni0"],
];
const OTHERS = ["eth0", "flannels", "ens3", "docker0"];

/**
 * A machine whose administrator lets networkd configure every interface: $1 is the folder of
 * drop-ins, $2 what networkd says when it has come to the tunnel. No udev: /sys is read-only,
 * so networkd does not wait for it.
 */
const MACHINE = `
mount -t tmpfs tmpfs /run
cd /run; mkdir -p systemd/network systemd/networkd.conf.d systemd/netif/links systemd/netif/leases systemd/netif/lldp
chown -R systemd-network systemd/netif
printf '[Match]\\nName=*\\n[Network]\\nLinkLocalAddressing=no\\nIPv6AcceptRA=no\\nAddress=10.99.0.1/24\\n' > systemd/network/50-all.network
if [ -n "$1" ]; then
  cp "$1/twill.conf" systemd/networkd.conf.d/10-twill.conf
  cp "$1/twill.network" systemd/network/10-twill.network
fi
ip link add eth0 type veth peer name eth1
ip link add flannel.1 address 02:00:00:00:00:01 type vxlan id 1 dev eth0 local 10.99.0.1 dstport 8472
ip address add 10.244.1.0/32 dev flannel.1
for device in lo eth0 eth1 flannel.1; do ip link set $device up; done
ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
ip route add 10.244.3.0/24 dev eth0 proto 84
mount -t sysfs -o ro sysfs /sys
SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console ${NETWORKD} > log 2>&1 &
for i in $(seq 300); do
  if grep -q "$2" log && grep -q "eth0: State changed: configuring -> configured" log; then break; fi
  sleep 0.1
done
ip -o address show dev flannel.1 | sed 's/^/address /'
ip route show | sed 's/^/route /'
kill $!; wait $! || true
sed 's/^/log /' log
`;

function runNetworkd(dropIns: string, untilSaid: string): string {
  const argv = ["--net", "--mount", "--propagation", "private", "bash", "-c", MACHINE];
  const { stdout, stderr } = spawnSync("unshare", [...argv, "bash", dropIns, untilSaid], {
    encoding: "utf8",
    env: { ...process.env, container: undefined },
  });
  return `${stdout}${stderr}`;
}

const why =
  process.getuid?.() === 0 && existsSync(NETWORKD) ? {} : { skip: "needs root and networkd" };

describe("systemd-networkd", why, () => {
  it("takes a tunnel for its own when nobody tells it not to", () => {
    const said = runNetworkd("", "flannel.1: Configuring static address");
    assert.match(said, /^address .* 10\.99\.0\.1\/24/m, said);
  });

  it("leaves tunnels and foreign routes alone with the drop-ins, and understands every word", () => {
    const unmanaged = "flannel.1: State changed: initialized -> unmanaged";
    const said = runNetworkd(`${DEPLOY}networkd`, unmanaged);
    assert.ok(said.includes(unmanaged), said);
    assert.doesNotMatch(said, /^address .* 10\.99\.0\.1\/24/m);
    assert.match(said, /^address .* 10\.244\.1\.0\/32/m);
    assert.match(said, /^route 10\.244\.2\.0\/24 via 10\.244\.2\.0 dev flannel\.1 onlink/m);
    assert.match(said, /^route 10\.244\.3\.0\/24 dev eth0 proto 84/m);
    // With ManageForeignRoutes=no it does not even remember them.
    assert.match(said, /^log eth0: Ignoring received foreign route/m);
    assert.doesNotMatch(said, /10-twill[^\n]*(Unknown|Failed|Invalid)/i);
  });
});

describe("the files for other network services", () => {
  it("match every device of ours and no other", () => {
    const globs = {
      networkd: values("networkd/twill.network", "Match", "Name").split(" "),
      NetworkManager: values("networkmanager/twill.conf", "keyfile", "unmanaged-devices")
        .split(";")
        .map((item) => item.replace(/^interface-name:/, "")),
    };
    for (const [service, patterns] of Object.entries(globs)) {
      const matches = (name: string): boolean => patterns.some((glob) => toRegExp(glob).test(name));
      const missed = DEVICES.filter((name) => !matches(name));
      assert.deepEqual(missed, [], service);
      assert.deepEqual(OTHERS.filter(matches), [], service);
    }
  });

  it("keep udev from giving a tunnel another MAC", () => {
    assert.equal(values("networkd/twill.link", "Link", "MACAddressPolicy"), "none");
    const globs = values("networkd/twill.link", "Match", "OriginalName").split(" ");
    for (const name of ["flannel.1", "flannel-v6.1"]) {
      assert.ok(
        globs.some((glob) => toRegExp(glob).test(name)),
        name,
      );
    }
  });
});

/** The value of a key in a section of an INI file. */
function values(file: string, section: string, key: string): string {
  const text = readFileSync(`${DEPLOY}${file}`, "utf8");
  const body = text.split(/^\[(\w+)\]$/m);
  const at = body.indexOf(section);
  const found = new RegExp(`^${key}=(.+)$`, "m").exec(body[at + 1] ?? "")?.[1];
  assert.ok(at > 0 && found !== undefined, `${file} has no ${key} in [${section}]`);
  return found;
}

function toRegExp(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*")}$`);
}
