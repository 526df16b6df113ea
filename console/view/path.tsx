/** The way between two nodes, both directions, drawn step by step, with what is broken on it. */
import type { JSX } from "preact";
import type {
  ConsoleDirection,
  ConsolePath,
  ConsoleProbe,
} from "../../common/console/console-path.ts";
import type { PathState } from "../live/use-path.ts";

export function PathDrawing({
  state,
  from,
}: {
  readonly state: PathState;
  readonly from: string;
}): JSX.Element {
  return (
    <div role="status" class="path">
      {state.kind === "asking" && (
        <p class="quiet">
          Asking the kernels of {from} and {state.to}, and trying a few packets…
        </p>
      )}
      {state.kind === "refused" && <p class="path-says path-broken">{state.reason}</p>}
      {state.kind === "path" && <Drawn path={state.path} />}
    </div>
  );
}

function Drawn({ path }: { readonly path: ConsolePath }): JSX.Element {
  return (
    <>
      {path.findings.length === 0 ? (
        <p class="path-says">
          {path.works ? "Every packet came back." : "Nothing wrong was found."}
        </p>
      ) : (
        <ul class="findings">
          {path.findings.map(({ code, node, says, fix }) => (
            <li key={`${code} ${node} ${says}`}>
              <p class="path-says path-broken">
                {node !== "" && <strong>{node}: </strong>}
                {says}
              </p>
              <p class="quiet">{fix}</p>
            </li>
          ))}
        </ul>
      )}
      {path.directions.map((direction) => (
        <Direction key={direction.from} direction={direction} />
      ))}
    </>
  );
}

function Direction({ direction }: { readonly direction: ConsoleDirection }): JSX.Element {
  const { from, fromAddress, to, toAddress, silence, hops, probes } = direction;
  return (
    <section class="direction" aria-label={`From ${from} to ${to}`}>
      <h3>
        {from} <span class="mono quiet">{fromAddress}</span> to {to}{" "}
        <span class="mono quiet">{toAddress}</span>
      </h3>
      {silence !== "" && <p class="path-broken">{silence}</p>}
      <ol class="hops">
        {hops.map(({ kind, text, state }) => (
          <li key={kind} class={`hop hop-${state}`}>
            <span class="hop-kind">{kind}</span>
            <span class="mono">{text}</span>
          </li>
        ))}
      </ol>
      <ul class="probes" aria-label="Packets tried">
        {probes.map((probe) => (
          <li key={probe.label} class={probe.received > 0 ? "probe" : "probe probe-lost"}>
            {probeText(probe)}
          </li>
        ))}
      </ul>
    </section>
  );
}

function probeText({ label, sent, received, rttUs, error }: ConsoleProbe): string {
  const time = rttUs > 0 ? `, ${(rttUs / 1000).toFixed(2)} ms` : "";
  return `${label}: ${received} of ${sent} back${time}${error === "" ? "" : `, ${error}`}`;
}
