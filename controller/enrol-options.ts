/** The options by which a controller makes machines nodes; part of option-table.ts. */
import {
  durationOption,
  type OptionSpec,
  textOption,
  valueOption,
} from "../common/config/option-spec.ts";
import { readHostPort } from "../common/config/read-host-port.ts";
import type { HostPort } from "../common/net/host-port.ts";

export interface EnrolGiven {
  readonly enrolListen: HostPort | undefined;
  readonly enrolCaKeyFile: string;
  readonly nodeCertificateTtl: number;
}

const ENROL = "Joining by token";
export const ENROL_OPTIONS: { readonly [P in keyof EnrolGiven]: OptionSpec<EnrolGiven[P]> } = {
  enrolListen: valueOption<HostPort | undefined>({
    flag: "enrol-listen",
    help: "Where machines without a certificate turn a token of twillctl node invite into one; a port of its own, so that the other takes nobody without.",
    group: ENROL,
    placeholder: "HOST:PORT",
    fallback: undefined,
    fallbackText: "",
    parse: (text) => readHostPort(text, ["port"]),
  }),
  enrolCaKeyFile: textOption({
    flag: "enrol-ca-key-file",
    help: "PEM file of the key of a CA in --tls-ca-file: nodes' certificates are signed with it.",
    group: ENROL,
    placeholder: "FILE",
    fallback: "",
  }),
  nodeCertificateTtl: durationOption({
    flag: "node-certificate-ttl",
    help: "Life of the certificates given to nodes; they have them renewed after two thirds.",
    group: ENROL,
    fallback: "720h",
    minMs: 10_000,
    maxMs: 10 * 365 * 86_400_000,
  }),
};
