/** The options by which an agent reaches controllers and proves who it is; part of option-table.ts. */
import { booleanOption, listOption, textOption } from "../common/config/option-spec.ts";
import { readHostPort } from "../common/config/read-host-port.ts";
import type { HostPort } from "../common/net/host-port.ts";
import type { Specs } from "./given-options.ts";

const CONTROL = "Controllers";
export const CONTROL_OPTIONS: Specs<
  | "controllers"
  | "nodeName"
  | "tlsCaFile"
  | "tlsCertFile"
  | "tlsKeyFile"
  | "joinTokenFile"
  | "insecure"
> = {
  controllers: listOption<HostPort>({
    flag: "controllers",
    help: "Controllers to hold the stream with; one is picked at random, the others stand by.",
    group: CONTROL,
    placeholder: "HOST:PORT,...",
    fallback: [],
    fallbackText: "",
    parseItem: (text) =>
      readHostPort(text, ["host", "port"], "must be host:port, several separated by commas"),
  }),
  nodeName: textOption({
    flag: "node-name",
    help: "This node's identity; the lease belongs to it. The host's name when not given.",
    group: CONTROL,
    placeholder: "NAME",
    fallback: "",
  }),
  tlsCaFile: textOption({
    flag: "tls-ca-file",
    help: "PEM file of the CA that signed the controllers' certificates.",
    group: CONTROL,
    placeholder: "FILE",
    fallback: "",
  }),
  tlsCertFile: textOption({
    flag: "tls-cert-file",
    help: "PEM file of this node's certificate; read again at every connection.",
    group: CONTROL,
    placeholder: "FILE",
    fallback: "",
  }),
  tlsKeyFile: textOption({
    flag: "tls-key-file",
    help: "PEM file of that certificate's key.",
    group: CONTROL,
    placeholder: "FILE",
    fallback: "",
  }),
  joinTokenFile: textOption({
    flag: "join-token-file",
    help: "File with the token of twillctl node invite, instead of the --tls files: the agent makes a key, has it signed, keeps both below --state-dir and has the certificate renewed. The file is not needed afterwards.",
    group: CONTROL,
    placeholder: "FILE",
    fallback: "",
  }),
  insecure: booleanOption({
    flag: "insecure",
    help: "Talk to the controllers in plaintext. For labs: anybody on the path can take over routing.",
    group: CONTROL,
    fallback: false,
  }),
};
