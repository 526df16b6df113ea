/**
 * Draws the nodes as a cloth: each node one diagonal stitch, a cluster in order one even
 * twill, and whatever is not in order a flaw that the eye finds. A flaw differs in shape too,
 * for those who do not see its colour.
 */
import type { Condition, NodeView } from "../model/node-views.ts";
import { count } from "../model/words.ts";
import type { Brush } from "./brush.ts";

interface Spot {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

export function drawStitches(brush: Brush, views: readonly NodeView[]): void {
  const { context, cloth } = brush;
  context.lineCap = "round";
  for (const condition of ["ready", "unseen", "behind", "lost", "failing"] as const) {
    const spots: Spot[] = [];
    for (const [index, view] of views.entries()) {
      if (view.condition === condition) spots.push(spotOf(brush, index));
    }
    if (spots.length > 0) drawCondition(brush, condition, spots);
  }
  if (!cloth.isLabelled) return;
  for (const [index, view] of views.entries()) drawLabel(brush, view, spotOf(brush, index));
}

/** The square the stitch stands in. */
function spotOf({ cloth }: Brush, index: number): Spot {
  const { columns, cellWidth, cellHeight, isLabelled } = cloth;
  const size = isLabelled ? 30 : Math.min(cellWidth, cellHeight);
  const x = (index % columns) * cellWidth + (isLabelled ? 6 : 0);
  const y = Math.floor(index / columns) * cellHeight + (cellHeight - size) / 2;
  return { x, y, size };
}

function drawCondition(brush: Brush, condition: Condition, spots: readonly Spot[]): void {
  const { context, colours } = brush;
  const width = Math.max(2, (spots[0]?.size ?? 10) * 0.24);
  const stroke = (colour: string, lineWidth: number, from = 0, to = 1): void => {
    context.strokeStyle = colour;
    context.lineWidth = lineWidth;
    context.beginPath();
    for (const spot of spots) addDiagonal(context, spot, { from, to });
    context.stroke();
  };
  switch (condition) {
    case "ready":
      stroke(colours.thread, width);
      return;
    case "behind":
      // The part that is sewn, and the part that is still to come.
      stroke(colours.bare, width);
      stroke(colours.weld, width, 0, 0.5);
      return;
    case "failing":
      stroke(colours.madder, width);
      context.beginPath();
      for (const spot of spots)
        addDiagonal(context, spot, { from: 0.2, to: 0.8, isCrossing: true });
      context.stroke();
      return;
    case "lost":
      stroke(colours.madder, width);
      stroke(colours.ground, Math.max(1, width - 2.4));
      return;
    case "unseen":
      stroke(colours.bare, width);
  }
}

function addDiagonal(
  context: CanvasRenderingContext2D,
  { x, y, size }: Spot,
  { from, to, isCrossing = false }: { from: number; to: number; isCrossing?: boolean },
): void {
  const pad = size * 0.2;
  const length = size - 2 * pad;
  const along = (share: number): [number, number] => [
    x + pad + length * share,
    y + pad + length * (isCrossing ? share : 1 - share),
  ];
  context.moveTo(...along(from));
  context.lineTo(...along(to));
}

function drawLabel({ context, cloth, colours }: Brush, view: NodeView, spot: Spot): void {
  const left = spot.x + spot.size + 8;
  const room = cloth.cellWidth - spot.size - 22;
  const middle = spot.y + spot.size / 2;
  context.textBaseline = "alphabetic";
  context.fillStyle = colours.ink;
  context.font = `500 14px ${colours.sans}`;
  context.fillText(shorten(context, view.name, room), left, middle - 2);
  context.fillStyle = view.condition === "ready" ? colours.muted : colours.ink;
  context.font = `400 12px ${colours.mono}`;
  context.fillText(shorten(context, secondLine(view), room), left, middle + 14);
}

function secondLine({ condition, behind, lease }: NodeView): string {
  switch (condition) {
    case "ready":
      return lease?.subnet.split(" ")[0] ?? "no lease";
    case "behind":
      return `behind by ${count(behind)}`;
    case "failing":
      return "kernel failing";
    case "lost":
      return "no stream";
    case "unseen":
      return "not seen from here";
  }
}

function shorten(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  let end = text.length - 1;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > room) end -= 1;
  return `${text.slice(0, end)}…`;
}
