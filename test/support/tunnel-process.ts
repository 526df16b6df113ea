/**
 * A process that only holds a udp tunnel, for tests and benchmarks that need it in a network
 * namespace or want to kill it:
 *   node tunnel-process.js '{"deviceName":"flannel0","bind":"10.0.0.1","port":8285,
 *     "address":"10.1.1.0","peers":[["10.1.2.0/24","10.0.0.2",8285]],"tuning":{}}'
 * Says "ready" when packets flow; SIGTERM closes it; each line on stdin prints the counters.
 */
import { createInterface } from "node:readline";
import { openUdpTunnel, type TunnelTuning } from "../../agent/tunnel/udp-tunnel.ts";
import { parseCidr } from "../../common/net/cidr.ts";
import { type Ip, parseIp } from "../../common/net/ip.ts";

export interface TunnelProcessOptions {
  readonly deviceName: string;
  readonly bind: string;
  readonly port: number;
  readonly address: string;
  readonly peers: readonly (readonly [subnet: string, remote: string, port: number])[];
  readonly tuning: Partial<TunnelTuning>;
}

const options = JSON.parse(process.argv[2] ?? "{}") as TunnelProcessOptions;
const stop = new AbortController();
const tunnel = await openUdpTunnel({
  deviceName: options.deviceName,
  bind: ip(options.bind),
  port: options.port,
  address: ip(options.address),
  signal: stop.signal,
  tuning: options.tuning,
});
tunnel.setPeers(
  options.peers.map(([subnet, remote, port]) => {
    const network = parseCidr(subnet);
    if (network === undefined) throw new Error(`no subnet: ${subnet}`);
    return { subnet: network, remote: ip(remote), port };
  }),
);
process.once("SIGTERM", () => stop.abort());
const lines = createInterface({ input: process.stdin });
lines.on("line", () => process.stdout.write(`${JSON.stringify(tunnel.stats())}\n`));
process.stdout.write("ready\n");
const failure = await tunnel.ended;
lines.close();
if (failure !== undefined) {
  process.stdout.write(`ended: ${failure.message}\n`);
  process.exitCode = 1;
}

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
}
