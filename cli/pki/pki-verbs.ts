/** The command-line face of `twillctl pki`. */
import type { Command } from "commander";
import { TwillError } from "../../common/errors.ts";
import { parseIdentity } from "../../common/identity/identity.ts";
import { parseIp } from "../../common/net/ip.ts";
import type { Terminal } from "../terminal.ts";
import {
  CA_DAYS,
  CERTIFICATE_DAYS,
  type IssueOptions,
  initAuthority,
  issueCertificate,
  revokeCertificates,
  rotateCertificates,
} from "./pki-commands.ts";
import { type IssuedRecord, PkiDir } from "./pki-dir.ts";

const DEFAULT_DIR = "/etc/twill/pki";

interface DirOption {
  readonly dir: string;
}

export function addPkiVerbs(program: Command, terminal: Terminal): void {
  const pki = program
    .command("pki")
    .description("a small certificate authority for labs and small fleets");
  const verb: VerbMaker = (name, description) =>
    pki
      .command(name)
      .description(description)
      .option("--dir <folder>", "the CA's folder", DEFAULT_DIR);
  addInit(verb, terminal);
  addIssue(verb, terminal);
  addList(verb, terminal);
  addRevoke(verb, terminal);
  addRotate(verb, terminal);
}

type VerbMaker = (name: string, description: string) => Command;

function addInit(verb: VerbMaker, terminal: Terminal): void {
  verb("init", "make a CA")
    .option("--trust-domain <name>", "name of this installation in every identity", "twill")
    .option("--days <n>", "validity of the CA", parseDays, CA_DAYS)
    .addHelpText("after", "\nExample:\n  twillctl pki init --dir ./pki --trust-domain rack1")
    .action(async (options: DirOption & { trustDomain: string; days: number }) => {
      const nowMs = terminal.nowMs();
      terminal.lines(await initAuthority(new PkiDir(options.dir), { ...options, nowMs }));
    });
}

type IssueFlags = DirOption & Omit<IssueOptions, "role" | "name" | "nowMs">;

function addIssue(verb: VerbMaker, terminal: Terminal): void {
  verb("issue", "make a key and a certificate")
    .argument("<role>", "node, controller or operator")
    .argument("<name>", "node name, or who it is for")
    .option("--admin", "operators: may also change things", false)
    .option("--dns <name>", "DNS name it is good for (repeatable)", collect, [])
    .option(
      "--ip <address>",
      "address it is good for; nodes: allowed underlay address (repeatable)",
      collect,
      [],
    )
    .option("--days <n>", "validity", parseDays, CERTIFICATE_DAYS)
    .option("--out <folder>", "where to write the two files; default the CA's folder")
    .addHelpText(
      "after",
      "\nExample:\n  twillctl pki issue controller c1 --dns c1.rack1 --ip 10.0.0.11",
    )
    .action(async (role: string, name: string, options: IssueFlags) => {
      const request = { ...options, role, name, out: options.out, nowMs: terminal.nowMs() };
      terminal.lines(await issueCertificate(new PkiDir(options.dir), request));
    });
}

function addList(verb: VerbMaker, terminal: Terminal): void {
  verb("list", "what was issued, until when, and what is revoked")
    .addHelpText("after", "\nExample:\n  twillctl pki list -o json")
    .action(async (options: DirOption) => {
      const issued = await new PkiDir(options.dir).issued();
      terminal.records(issued.map((record) => describe(record, terminal.nowMs())));
    });
}

function addRevoke(verb: VerbMaker, terminal: Terminal): void {
  verb("revoke", "revoke certificates and renew crl.pem")
    .argument("<which>", "serial number, identity URI, or its end (node/n1)")
    .addHelpText("after", "\nExample:\n  twillctl pki revoke node/n1")
    .action(async (which: string, options: DirOption) => {
      const dir = new PkiDir(options.dir);
      terminal.lines(await revokeCertificates(dir, { which, nowMs: terminal.nowMs() }));
    });
}

function addRotate(verb: VerbMaker, terminal: Terminal): void {
  verb("rotate", "issue every valid certificate again with a new key")
    .option("--days <n>", "validity of the new ones", parseDays, CERTIFICATE_DAYS)
    .addHelpText("after", "\nExample:\n  twillctl pki rotate --days 90")
    .action(async (options: DirOption & { days: number }) => {
      const nowMs = terminal.nowMs();
      const { days } = options;
      const reissue = (record: IssuedRecord): IssueOptions => again(record, days, nowMs);
      const dir = new PkiDir(options.dir);
      terminal.lines(await rotateCertificates(dir, { days, nowMs, reissue }));
    });
}

function again(record: IssuedRecord, days: number, nowMs: number): IssueOptions {
  const identity = parseIdentity(record.identity);
  if (identity === undefined) {
    throw new TwillError(
      "OPTION_INVALID",
      `issued.json names an unknown identity: ${record.identity}`,
    );
  }
  return {
    role: identity.role,
    name: identity.name,
    admin: identity.role === "operator" && identity.admin,
    dns: record.addresses.filter((address) => parseIp(address) === undefined),
    ip: record.addresses.filter((address) => parseIp(address) !== undefined),
    days,
    out: undefined,
    nowMs,
  };
}

function describe(record: IssuedRecord, nowMs: number): Record<string, string> {
  const expired = record.notAfterMs <= nowMs ? "expired" : "valid";
  return {
    identity: record.identity,
    serial: record.serial,
    state: record.revokedMs > 0 ? "revoked" : expired,
    until: new Date(record.notAfterMs).toISOString().slice(0, 10),
    addresses: record.addresses.join(","),
  };
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 36_500) {
    throw new TwillError("OPTION_INVALID", `--days ${text}: a whole number from 1 to 36500`);
  }
  return days;
}
