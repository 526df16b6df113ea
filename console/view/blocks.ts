/** Draws the network: one square a block, filled by who holds it. */
import type { Cell, Holding } from "../model/subnet-map.ts";
import type { Brush } from "./brush.ts";
import type { Colours } from "./colours.ts";

export function drawBlocks({ context, cloth, colours }: Brush, cells: readonly Cell[]): void {
  const { columns, cellWidth, cellHeight } = cloth;
  const gap = cellWidth > 12 ? 2 : 1;
  const radius = Math.min(3, cellWidth / 5);
  for (const holding of ["outside", "free", "foreign", "reserved", "node"] as const) {
    context.beginPath();
    for (const [index, cell] of cells.entries()) {
      if (cell.holding !== holding) continue;
      const x = (index % columns) * cellWidth + gap / 2;
      const y = Math.floor(index / columns) * cellHeight + gap / 2;
      const inset = holding === "outside" ? (cellWidth - gap) * 0.36 : 0;
      const width = cellWidth - gap - 2 * inset;
      const height = cellHeight - gap - 2 * inset;
      context.roundRect(x + inset, y + inset, width, height, radius);
    }
    if (holding === "reserved") {
      context.strokeStyle = colours.thread;
      context.lineWidth = 1.5;
      context.stroke();
    } else {
      context.fillStyle = fillOf(holding, colours);
      context.fill();
    }
  }
}

function fillOf(holding: Holding, colours: Colours): string {
  switch (holding) {
    case "node":
    case "reserved":
      return colours.thread;
    case "foreign":
      return colours.ecru;
    case "free":
    case "outside":
      return colours.bare;
  }
}
