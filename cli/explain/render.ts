/** A path and what is wrong with it, as lines for a person. Pure. */
import type { Diagnosis } from "../../common/explain/diagnose.ts";
import type { Evidence, Finding, Side } from "../../common/explain/evidence.ts";
import type { Hop } from "../../proto/gen/twill/v1/node.ts";

export function renderPath(evidence: Evidence, diagnosis: Diagnosis): string[] {
  const { from, to } = evidence;
  return [
    ...renderDirection(evidence, from, to),
    "",
    ...renderDirection(evidence, to, from),
    "",
    ...renderDiagnosis(diagnosis),
  ];
}

function renderDirection({ transport }: Evidence, near: Side, far: Side): string[] {
  const head = `${near.end.node} ${near.end.address}  ──▶  ${far.end.node} ${far.end.address}`;
  const { facts } = near;
  if (facts === undefined) return [head, `  ${near.silence}`];
  const device = facts.devices.find(({ name }) => name === transport.device);
  const lower = facts.devices.find(({ name }) => name === facts.underlay?.device);
  const vtep = facts.neighbours.find(
    (one) => one.device === facts.remote?.device && one.ip === facts.remote.gateway,
  );
  const entry = facts.fdb.find(({ mac }) => mac === vtep?.mac);
  const rows = [
    ["route", hopText(facts.remote)],
    ["", facts.routes[0] === undefined ? "" : `by ${facts.routes[0].destination}`],
    ["arp", vtep === undefined ? "" : `${vtep.ip} is ${vtep.mac}`],
    ["fdb", entry === undefined ? "" : `${entry.mac} is at ${entry.remote}`],
    ["device", device === undefined ? "" : deviceText(device)],
    [
      "underlay",
      `${hopText(facts.underlay)}${lower === undefined ? "" : `, ${deviceText(lower)}`}`,
    ],
    ["filter", filterText(near)],
    ...near.probes.map(({ label, received, sent, rttUs, error }) => [
      "probe",
      `${label} ${received} of ${sent}${rttUs > 0 ? `, ${(rttUs / 1000).toFixed(2)} ms` : ""}${error === "" ? "" : `, ${error}`}`,
    ]),
  ];
  return [
    head,
    ...rows
      .filter(([, text]) => text !== "")
      .map(([name = "", text = ""]) => `  ${name.padEnd(10)}${text}`),
  ];
}

function hopText(hop: Hop | undefined): string {
  if (hop === undefined) return "none: unreachable";
  if (hop.isLocal) return "its own address";
  const via = hop.gateway === "" ? "" : `via ${hop.gateway} `;
  return `${via}dev ${hop.device}${hop.mtuBytes > 0 ? ` mtu ${hop.mtuBytes}` : ""}`;
}

function deviceText(device: { name: string; up: boolean; running: boolean; mtuBytes: number }) {
  const state = device.up ? (device.running ? "up" : "no carrier") : "down";
  return `${device.name} ${state} mtu ${device.mtuBytes}`;
}

function filterText({ facts }: Side): string {
  const bad = (facts?.verdicts ?? []).filter(({ verdict }) => verdict !== "accept");
  if (bad.length === 0) return "accept";
  return bad.map(({ hook, packet, verdict }) => `${hook} ${packet}: ${verdict}`).join(", ");
}

export function renderDiagnosis({ works, findings }: Diagnosis): string[] {
  const head = works ? ["the path works, both ways"] : ["BROKEN"];
  return [...head, ...findings.flatMap(renderFinding)];
}

function renderFinding({ code, node, says, fix }: Finding): string[] {
  const where = node === "" ? "" : `${node}: `;
  return [`${code}: ${where}${says}`, `  fix: ${fix}`];
}
