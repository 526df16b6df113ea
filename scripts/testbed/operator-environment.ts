/**
 * What an operator's shell on a machine of the lab has set, so that etcdctl and twillctl just
 * work. Daemons do not get it: they know what their command line says.
 */
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { tlsFile } from "./certificates.ts";
import { plainEnvironment } from "./command.ts";
import { CONTROLLER_PORT, etcdEndpoints } from "./daemons.ts";
import { machineIds, type Role } from "./topology.ts";

/** twill-controller, twill-agent and twillctl by their names. */
const PROGRAMS = fileURLToPath(new URL("../../bin", import.meta.url));

/** How many there are of what a tool must find. */
export interface Servers {
  readonly etcdMembers: number;
  readonly controllers: number;
  /** Plaintext: no certificate is needed. */
  readonly insecure?: boolean;
}

export function operatorEnvironment(servers: Servers, role: Role): Record<string, string> {
  const controllers = machineIds("controller", servers.controllers);
  const plain = plainEnvironment();
  const common = {
    ...plain,
    PATH: [PROGRAMS, plain["PATH"]].join(delimiter),
    TWILL_CONTROLLERS: controllers.map(({ ip }) => `${ip}:${CONTROLLER_PORT}`).join(","),
    ...(servers.insecure === true
      ? { TWILL_INSECURE: "true" }
      : {
          TWILL_TLS_CA_FILE: tlsFile("ca.crt"),
          TWILL_TLS_CERT_FILE: tlsFile("operator.crt"),
          TWILL_TLS_KEY_FILE: tlsFile("operator.key"),
        }),
  };
  if (role === "node") return common;
  return {
    ...common,
    ETCDCTL_API: "3",
    ETCDCTL_ENDPOINTS: etcdEndpoints(machineIds("etcd", servers.etcdMembers)),
  };
}
