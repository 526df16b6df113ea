/**
 * What arrives on a stream, decoded and checked: one message, or what is wrong with it. A body
 * that this build does not know is no fault, a newer agent may say more (fabric.proto).
 */
import { isName } from "../../common/identity/identity.ts";
import { type Ack, AgentMessage, type Hello } from "../../proto/gen/twill/v1/fabric.ts";

/** The largest honest message is an ack with a hundred failures. */
export const MAX_MESSAGE_BYTES = 64 * 1024;
const MAX_TEXT = 1024;
const MAX_FEATURES = 64;
const MAX_ITEMS = 1000;

export type AgentBody = NonNullable<AgentMessage["body"]>;

export type Inbound =
  | { readonly kind: "message"; readonly body: AgentBody }
  | { readonly kind: "unknown" }
  | { readonly kind: "violation"; readonly reason: string };

export function decodeAgentMessage(bytes: Uint8Array): Inbound {
  if (bytes.length > MAX_MESSAGE_BYTES) {
    return violation(`a message of ${bytes.length} bytes; the limit is ${MAX_MESSAGE_BYTES}`);
  }
  let body: AgentMessage["body"];
  try {
    body = AgentMessage.decode(bytes).body;
  } catch {
    return violation(`a message of ${bytes.length} bytes that is not an AgentMessage`);
  }
  if (body === undefined) {
    return bytes.length === 0 ? violation("an empty message") : { kind: "unknown" };
  }
  const reason = problemOf(body);
  return reason === undefined ? { kind: "message", body } : violation(reason);
}

function violation(reason: string): Inbound {
  return { kind: "violation", reason };
}

function problemOf(body: AgentBody): string | undefined {
  switch (body.$case) {
    case "hello":
      return problemOfHello(body.value);
    case "ack":
      return problemOfAck(body.value);
    case "report":
      return boundsProblem(body.value.drift, [body.value.state, body.value.reason], "Report");
    case "register":
    case "release":
    case "heartbeat":
    // Whoever asked reads it; its size is bounded with every message's.
    case "answer":
      return undefined;
  }
}

function problemOfHello(hello: Hello): string | undefined {
  const { node, version, features, instance, digest, process } = hello;
  if (!isName(node)) {
    return `Hello.node is ${show(node)}, which is not 1 to 253 of letters, digits, dots, dashes and underscores, the first a letter or digit`;
  }
  if (instance !== "" && !isDigest(digest)) {
    return `Hello.digest is ${show(digest)}, which is not 16 hex digits`;
  }
  return boundsProblem(
    features,
    [version, instance, process, ...features.slice(0, MAX_FEATURES)],
    "Hello",
  );
}

function problemOfAck(ack: Ack): string | undefined {
  if (!isDigest(ack.digest)) return `Ack.digest is ${show(ack.digest)}, which is not 16 hex digits`;
  return boundsProblem(ack.failures, [ack.instance], "Ack");
}

function boundsProblem(
  items: readonly unknown[],
  texts: readonly string[],
  name: string,
): string | undefined {
  const limit = name === "Hello" ? MAX_FEATURES : MAX_ITEMS;
  if (items.length > limit) return `${name} lists ${items.length} items; the limit is ${limit}`;
  const long = texts.find((text) => text.length > MAX_TEXT);
  if (long === undefined) return undefined;
  return `${name} has a text of ${long.length} characters; the limit is ${MAX_TEXT}`;
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

function show(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
