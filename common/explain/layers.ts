/**
 * One node reached layer by layer, and what it means when one layer answers and the next does
 * not. Pure.
 */
import { answers, deviceGrowth, type Evidence, probeOf } from "./evidence.ts";

export const LAYERS = ["underlay", "encapsulation", "overlay", "pod"] as const;
export type LayerName = (typeof LAYERS)[number];
export type LayerState = "answers" | "silent" | "unknown";

export interface LayerResult {
  readonly layer: LayerName;
  readonly state: LayerState;
  /** Round trip of the fastest packet; 0: none. */
  readonly rttUs: number;
  readonly detail: string;
}

export function layersOf(evidence: Evidence): readonly LayerResult[] {
  const { from, to, transport } = evidence;
  const echo = (layer: LayerName, detail: string): LayerResult => {
    const result = layer === "encapsulation" ? undefined : probeOf(from, layer);
    if (result === undefined) return { layer, state: "unknown", rttUs: 0, detail };
    const said = result.error === "" ? detail : `${detail}: ${result.error}`;
    return { layer, state: stateOf(result.received > 0), rttUs: result.rttUs, detail: said };
  };
  const container = to.end.isContainer ? to.end.address : "no container of it has been seen";
  return [
    echo("underlay", `the machine ${to.end.machine}`),
    encapsulation(evidence),
    echo("overlay", transport.device === "" ? "no tunnel" : `its address on ${transport.device}`),
    echo("pod", container),
  ];
}

/** An answer proves it; without one the other end's counter does. */
function encapsulation({ from, to, transport }: Evidence): LayerResult {
  const layer = "encapsulation";
  const none = { layer, rttUs: 0 } as const;
  if (transport.device === "") {
    return { ...none, state: "unknown", detail: `${transport.backend} has none` };
  }
  const detail = `what is sent into ${transport.device} arrives in its ${transport.device}`;
  if (answers(from, "overlay") === true) return { ...none, state: "answers", detail };
  if (to.after === undefined) {
    return { ...none, state: "unknown", detail: `${to.end.node} cannot be asked` };
  }
  const sent = probeOf(from, "overlay")?.sent ?? 1;
  const arrived = deviceGrowth(to, transport.device, "received") >= Math.max(1, sent);
  return { ...none, state: stateOf(arrived), detail };
}

function stateOf(isThere: boolean): LayerState {
  return isThere ? "answers" : "silent";
}

/** The sentence for this combination: the lowest silent layer decides, then what stands above it. */
export function meaningOf(results: readonly LayerResult[]): string {
  const state = (name: LayerName): LayerState =>
    results.find(({ layer }) => layer === name)?.state ?? "unknown";
  const [underlay, encapsulation, overlay, pod] = LAYERS.map(state);
  const upper = overlay === "answers" || pod === "answers";
  if (underlay === "silent") {
    return upper
      ? "Containers reach each other; the machine itself does not answer pings (ICMP is filtered there)."
      : "The machines do not reach each other: repair their own network first; the overlay cannot work without it.";
  }
  if (encapsulation === "silent") {
    return "The machines reach each other, but the tunnel's packets do not arrive: its UDP port is dropped on the way, or the sender's FDB or peer entry is wrong.";
  }
  if (overlay === "silent") {
    return encapsulation === "answers"
      ? "The tunnel's packets arrive, but no answer comes back: the way back is broken (its route, ARP or FDB entry, rp_filter, or a filter there)."
      : "Nothing is heard through the tunnel; ask `twillctl explain` which hop is broken.";
  }
  if (pod === "silent") {
    return "The tunnel works both ways, but the container does not answer: it is gone, its node does not forward (ip_forward, FORWARD policy), or it filters.";
  }
  if (pod === "answers") return "Every layer answers.";
  return "Every layer that could be tried answers.";
}
