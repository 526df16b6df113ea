/** The map of one range: which blocks are taken, by whom, until when. */
import type { JSX } from "preact";
import { useCallback, useMemo, useState } from "preact/hooks";
import type { ConsoleLease, ConsoleRange } from "../../common/console/console-state.ts";
import { useEnds } from "../live/use-ends.ts";
import { type Cloth, clothOf } from "../model/cloth.ts";
import { nodeHref } from "../model/route.ts";
import { type Cell, subnetMap } from "../model/subnet-map.ts";
import { count, duration, plural } from "../model/words.ts";
import { drawBlocks } from "./blocks.ts";
import type { Brush } from "./brush.ts";
import { LeaseTable } from "./lease-table.tsx";
import { Panel } from "./panel.tsx";
import { Picture } from "./picture.tsx";

export interface SubnetsProps {
  readonly range: ConsoleRange;
  readonly leases: ReadonlyMap<string, ConsoleLease>;
}

export function Subnets({ range, leases }: SubnetsProps): JSX.Element {
  const map = useMemo(() => subnetMap(range, leases.values()), [range, leases]);
  const [pointed, setPointed] = useState<number | undefined>();
  const { cells } = map;
  const draw = useCallback((brush: Brush) => drawBlocks(brush, cells), [cells]);
  const at = pointed === undefined ? undefined : cells[pointed];
  const ends = useEnds(at?.leases.map(({ key }) => key) ?? []);
  const picture = (): JSX.Element => (
    <>
      <Picture
        label={`Blocks of ${map.network}; arrow keys walk, Enter opens the node that holds one`}
        count={cells.length}
        clothFor={(width) => clothForBlocks(cells.length, width)}
        draw={draw}
        describe={(index) => describe(cells[index], new Map())}
        onOpen={(index) => open(cells[index])}
        onPoint={setPointed}
      />
      <p class="caption" aria-hidden="true">
        {at === undefined ? <BlockLegend cells={cells} /> : describe(at, ends)}
      </p>
    </>
  );
  return (
    <Panel
      title={`Subnets of ${map.network}`}
      summary={`${count(map.taken)} of ${count(map.blocks)} taken`}
      picture={picture}
      table={() => <LeaseTable leases={leases} />}
    />
  );
}

/** A power of two in a row, so that rows begin at round addresses. */
function clothForBlocks(blocks: number, width: number): Cloth {
  const wanted = blocks <= 64 ? 16 : blocks <= 512 ? 32 : 64;
  const columns = Math.min(blocks, wanted);
  const size = Math.max(5, Math.min(26, Math.floor(width / Math.max(columns, 1))));
  return clothOf(blocks, columns, { width: size, height: size });
}

function open(cell: Cell | undefined): void {
  const node = cell?.leases[0]?.node ?? "";
  if (node !== "") location.hash = nodeHref(node);
}

function describe(cell: Cell | undefined, ends: ReadonlyMap<string, number | null>): string {
  if (cell === undefined) return "";
  const [first] = cell.leases;
  if (first === undefined) {
    const state = cell.holding === "outside" ? "not given out by this config" : "free";
    return `${cell.block}: ${state}`;
  }
  if (cell.leases.length > 1) return `${cell.block}: ${plural(cell.leases.length, "lease")}`;
  return `${first.subnet}: ${holderText(first)}${endText(first, ends)}`;
}

export function holderText({ node, publicIp, publicIpv6, isReserved }: ConsoleLease): string {
  const who = node !== "" ? node : isReserved ? "reserved" : "a flannel node";
  const where = publicIp === "" ? publicIpv6 : publicIp;
  return where === "" ? who : `${who} at ${where}`;
}

function endText(
  { key, isReserved }: ConsoleLease,
  ends: ReadonlyMap<string, number | null>,
): string {
  if (isReserved) return ", until it is deleted";
  const seconds = ends.get(key);
  if (seconds === undefined || seconds === null) return "";
  return `, for ${duration(seconds)} unless renewed`;
}

function BlockLegend({ cells }: { readonly cells: readonly Cell[] }): JSX.Element {
  const held = (holding: Cell["holding"]): boolean =>
    cells.some((cell) => cell.holding === holding);
  return (
    <>
      <span class="legend">
        <i class="block block-node" /> a Twill node's
      </span>
      {held("foreign") && (
        <span class="legend">
          <i class="block block-foreign" /> a flannel node's
        </span>
      )}
      {held("reserved") && (
        <span class="legend">
          <i class="block block-reserved" /> reserved
        </span>
      )}
      <span class="legend">
        <i class="block block-free" /> free
      </span>
    </>
  );
}
