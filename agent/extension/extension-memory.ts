/**
 * Which peers the operator's commands have added, kept in the state folder: one that goes away
 * while no agent runs is known by nobody else, and what was made for it would stay for ever.
 */
import type { ExtensionCall, ExtensionPeer } from "../plan/backend-planner.ts";

/** What is needed to take a peer away again. */
export type RememberedPeer = Pick<ExtensionPeer, "key" | "remove">;

export interface ExtensionMemory {
  read(): Promise<readonly RememberedPeer[]>;
  write(peers: readonly RememberedPeer[]): Promise<void>;
}

/** For a driver whose commands leave nothing behind. */
export const NO_MEMORY: ExtensionMemory = {
  read: async () => [],
  write: async () => undefined,
};

/** The text of a file, as StateDir keeps it. */
export interface KeptText {
  readonly read: () => Promise<string | undefined>;
  readonly write: (text: string) => Promise<void>;
}

export function extensionMemory(kept: KeptText): ExtensionMemory {
  return {
    read: async () => parseRemembered((await kept.read()) ?? "[]"),
    write: (peers) => kept.write(renderRemembered(peers)),
  };
}

export function renderRemembered(peers: readonly RememberedPeer[]): string {
  return `${JSON.stringify(peers)}\n`;
}

/** What is damaged is left out: at worst something stays that nobody asked for. */
export function parseRemembered(text: string): readonly RememberedPeer[] {
  const rows = parseJson(text);
  return Array.isArray(rows) ? rows.flatMap(readPeer) : [];
}

function readPeer(row: unknown): RememberedPeer[] {
  const [key, remove] = [field(row, "key"), readCall(field(row, "remove"))];
  return typeof key === "string" && remove !== undefined ? [{ key, remove }] : [];
}

function readCall(value: unknown): ExtensionCall | undefined {
  const [argv, environment, stdin] = ["argv", "environment", "stdin"].map((name) =>
    field(value, name),
  );
  if (!Array.isArray(argv) || typeof stdin !== "string") return undefined;
  const words = argv.filter((word) => typeof word === "string");
  const [program, ...args] = words;
  if (program === undefined || words.length !== argv.length) return undefined;
  if (typeof environment !== "object" || environment === null) return undefined;
  const variables: Record<string, string> = {};
  for (const [name, text] of Object.entries(environment)) variables[name] = String(text);
  return { argv: [program, ...args], environment: variables, stdin };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
