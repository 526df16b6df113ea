/** Address families in rtnetlink's numbers. */
import type { Ip } from "../../../common/net/ip.ts";
import { AF_INET, AF_INET6 } from "./constants.ts";

export function afOf(ip: Ip): number {
  return ip.family === 4 ? AF_INET : AF_INET6;
}
