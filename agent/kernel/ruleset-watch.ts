/**
 * Tells when somebody changed the nftables ruleset, which iptables-nft changes too. (Rules of
 * iptables-legacy make no events.) The kernel closes every transaction with one message that
 * names the process that made it.
 */
import { NETLINK } from "./netlink/constants.ts";
import { EventSocket } from "./netlink/events.ts";
import { Attributes, type Message } from "./netlink/message.ts";
import { openNetlink } from "./netlink/open.ts";

/** Who made a transaction; undefined: not told, or told in messages that were lost. */
export interface RulesetChange {
  readonly processId: number | undefined;
  readonly processName: string | undefined;
}

export interface RulesetWatchOptions {
  /** Path of another network namespace; default: the process's own. */
  readonly netns?: string;
}

const NFNLGRP_NFTABLES = 7;
/** nfnetlink: the subsystem is in the high byte of the type, nf_tables is 10. */
const NFT_MSG_NEWGEN = (10 << 8) | 15;
const NFGENMSG_BYTES = 4;
const NFTA_GEN_PROC_PID = 2;
const NFTA_GEN_PROC_NAME = 3;
/** A ruleset of some thousand rules, written at once; more is one "lost" more. */
const RECEIVE_BYTES = 4 << 20;

/** Calls `listener` once per transaction, our own included. It must not throw. */
export function watchRuleset(
  listener: (change: RulesetChange) => void,
  options: RulesetWatchOptions = {},
): Disposable {
  const attributes = new Attributes();
  const open = (): number =>
    openNetlink({
      protocol: NETLINK.NETFILTER,
      groups: [NFNLGRP_NFTABLES],
      receiveBytes: RECEIVE_BYTES,
      netns: options.netns,
    });
  const socket = new EventSocket(open, {
    message: (message) => {
      if (message.type === NFT_MSG_NEWGEN) listener(decodeGeneration(message, attributes));
    },
    lost: () => listener({ processId: undefined, processName: undefined }),
  });
  socket.resume();
  return socket;
}

function decodeGeneration(message: Message, attributes: Attributes): RulesetChange {
  if (message.bodyLength < NFGENMSG_BYTES) return { processId: undefined, processName: undefined };
  const found = message.attributes(NFGENMSG_BYTES, attributes);
  return {
    processId: found.u32be(NFTA_GEN_PROC_PID),
    processName: found.text(NFTA_GEN_PROC_NAME),
  };
}
