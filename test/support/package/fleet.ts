/**
 * Two machines with systemd, as docs/install.md has them: alpha, 192.0.2.11, and beta,
 * 192.0.2.12, on one switch, each with a card that the default route leads by. No packet leaves the
 * namespaces.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { NetworkNamespace } from "../netns.ts";
import { SystemdMachine } from "../systemd-machine.ts";

const ROUTER = "192.0.2.1";
const ADDRESSES = { alpha: "192.0.2.11", beta: "192.0.2.12" } as const;
export type MachineName = keyof typeof ADDRESSES;
export const MACHINE_NAMES = ["alpha", "beta"] as const satisfies readonly MachineName[];

/** Stands in for an ssh service on the other machine: what is copied is laid down by `deliver`. */
const SCP = `#!/bin/sh
# scp FILE root@ADDRESS:PATH
to=\${2#root@}; target=/mnt/shared/mail/\${to%%:*}\${to#*:}
mkdir -p "$(dirname "$target")" && cp "$1" "$target"
`;
const SSH = `#!/bin/sh
# ssh root@ADDRESS mkdir -p FOLDER
to=\${1#root@}; shift; shift; shift
mkdir -p "/mnt/shared/mail/$to$1"
`;

export class Fleet {
  readonly #machines: ReadonlyMap<string, SystemdMachine>;

  private constructor(machines: ReadonlyMap<string, SystemdMachine>) {
    this.#machines = machines;
  }

  /** `shared` is every machine's /mnt/shared. */
  static async boot(t: TestContext, shared: string): Promise<Fleet> {
    mkdirSync(join(shared, "mail"));
    const networks = await wire(t);
    const hosts = MACHINE_NAMES.map((name) => `${ADDRESSES[name]} ${name}`);
    const booting = MACHINE_NAMES.map(async (name) => {
      const network = networks.get(name);
      if (network === undefined) throw new Error(`${name} has no network`);
      const machine = await SystemdMachine.boot(t, { name, network, hosts, shared });
      await machine.shell(
        `cat > /usr/local/bin/scp <<'END'\n${SCP}END\ncat > /usr/local/bin/ssh <<'END'\n${SSH}END\nchmod +x /usr/local/bin/scp /usr/local/bin/ssh`,
      );
      return [name, machine] as const;
    });
    return new Fleet(new Map(await Promise.all(booting)));
  }

  machine(name: string): SystemdMachine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new Error(`a guide names a machine "${name}", which is none`);
    return machine;
  }

  /** Lays down what was copied from one machine to another. */
  async deliver(): Promise<void> {
    for (const name of MACHINE_NAMES) {
      const box = `/mnt/shared/mail/${ADDRESSES[name]}`;
      await this.machine(name).shell(`[ ! -d ${box} ] || { cp -r ${box}/. / && rm -r ${box}; }`);
    }
  }
}

async function wire(t: TestContext): Promise<ReadonlyMap<MachineName, NetworkNamespace>> {
  const middle = await namespace(t);
  await middle.run("ip", "link", "add", "switch", "type", "bridge");
  await middle.run("ip", "address", "add", `${ROUTER}/24`, "dev", "switch");
  await middle.run("ip", "link", "set", "switch", "up");
  const networks = new Map<MachineName, NetworkNamespace>();
  for (const name of MACHINE_NAMES) {
    const network = await namespace(t);
    const peer = ["peer", "name", "eth0", "netns", network.name];
    await middle.run("ip", "link", "add", name, "type", "veth", ...peer);
    await middle.run("ip", "link", "set", name, "master", "switch", "up");
    await network.run("ip", "address", "add", `${ADDRESSES[name]}/24`, "dev", "eth0");
    await network.run("ip", "link", "set", "eth0", "up");
    await network.run("ip", "route", "add", "default", "via", ROUTER);
    networks.set(name, network);
  }
  return networks;
}

async function namespace(t: TestContext): Promise<NetworkNamespace> {
  const made = await NetworkNamespace.create();
  t.after(() => made[Symbol.asyncDispose]());
  return made;
}
