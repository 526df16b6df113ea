/** Reads what `takeover` looks at on this machine: processes of this network namespace, subnet.env, devices. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { DEFAULT_SUBNET_FILE, readFlanneldOptions } from "./flanneld-options.ts";
import type { NodeFacts } from "./takeover-check.ts";

export function readNodeFacts(): NodeFacts {
  const processes = processesHere();
  const flanneld = processes.find(({ name }) => name === "flanneld");
  const options = flanneld === undefined ? undefined : readFlanneldOptions(commandOf(flanneld.pid));
  const text = read(options?.subnetFile ?? DEFAULT_SUBNET_FILE);
  return {
    flanneld: options,
    isAgentRunning: processes.some(({ pid }) =>
      /\/agent\/main\.js/.test(read(`/proc/${pid}/cmdline`) ?? ""),
    ),
    subnetEnv: text === undefined ? undefined : parseEnv(text),
    devices: new Set(readdirSync("/sys/class/net")),
  };
}

interface Process {
  readonly pid: number;
  readonly name: string;
}

/** Containers' processes are in other network namespaces; their flanneld is not this machine's. */
function processesHere(): Process[] {
  const own = namespaceOf("self");
  return readdirSync("/proc")
    .filter((entry) => /^[0-9]+$/.test(entry) && namespaceOf(entry) === own)
    .map((entry) => ({ pid: Number(entry), name: (read(`/proc/${entry}/comm`) ?? "").trim() }));
}

function commandOf(pid: number): { pid: number; argv: string[]; env: Record<string, string> } {
  const words = (read(`/proc/${pid}/cmdline`) ?? "").split("\0").slice(0, -1);
  // A wrapper's interpreter may stand before it.
  const program = words.findIndex((word) => basename(word) === "flanneld");
  const variables = (read(`/proc/${pid}/environ`) ?? "").split("\0");
  const pairs = variables.map((text): readonly [string, string] => [
    text.split("=", 1)[0] ?? "",
    text.replace(/^[^=]*=/, ""),
  ]);
  return { pid, argv: words.slice(program + 1), env: Object.fromEntries(pairs) };
}

/** It may have ended meanwhile, or not be ours to look at. */
function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function parseEnv(text: string): ReadonlyMap<string, string> {
  return new Map(
    [...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = "", value = ""]) => [key, value]),
  );
}
