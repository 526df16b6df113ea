/** `node invite`: a token by which one machine becomes this node, once. */
import { type Command, InvalidArgumentError } from "commander";
import { parseDurationMs } from "../../common/config/option-spec.ts";
import { type Invitation, MembershipClient } from "../../proto/gen/twill/v1/enrolment.ts";
import type { Session } from "./look-verbs.ts";

interface InviteFlags {
  readonly ttl: number;
  readonly address: readonly string[];
}

const DEFAULT_TTL = "1h";

/** `node` is the command that `node show` belongs to. */
export function addInviteVerb(node: Command, session: Session): void {
  node
    .command("invite")
    .description("make a token by which one machine becomes this node, once")
    .argument("<name>", "name that the node will have")
    .option("--ttl <duration>", "how long the token can be used", readTtl, readTtl(DEFAULT_TTL))
    .option(
      "--address <ip>",
      "address the node may advertise, and no other (repeatable); any when not given",
      (address: string, before: readonly string[]) => [...before, address],
      [],
    )
    .addHelpText(
      "after",
      "\nExample:\n  twillctl node invite node7 --ttl 30m > token\n" +
        "  twill-agent --controllers 10.0.0.11:7474 --node-name node7 --join-token-file token",
    )
    .action(async (name: string, { ttl, address }: InviteFlags) => {
      const request = { node: name, ttlSeconds: ttl, addresses: [...address] };
      const operator = await session.operator();
      const invitation = await operator.call<MembershipClient, Invitation>(
        MembershipClient,
        (client, metadata, options, done) => client.invite(request, metadata, options, done),
      );
      const { terminal, tell } = session;
      if (terminal.isForScripts) {
        terminal.value(invitation);
        return;
      }
      // The token alone on the standard output, so that it can go into a file.
      terminal.lines([invitation.token]);
      tell([`Valid once, until ${invitation.expires}. Whoever holds it becomes node ${name}.`]);
    });
}

function readTtl(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 1000) {
    throw new InvalidArgumentError('must be a time with its unit such as "30m"');
  }
  return Math.round(ms / 1000);
}
